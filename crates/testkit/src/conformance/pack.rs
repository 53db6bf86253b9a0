//! Archives again with a part of their files: how the sample in the repository was made.

use super::{
    archive,
    options::{self, Selection},
    runner,
};
use std::{fs::File, path::Path};

/// Larger files stay out of a sample.
const MEMBER_BYTES_MAX: usize = 128 << 10;
/// A sample is packed once and cloned often.
const LEVEL: i32 = 19;

/// Writes an archive into `folder` for each that is asked for, with the files that the sample's hash chooses.
///
/// # Errors
/// In words: an archive is missing or unreadable, or the folder cannot be written.
pub fn pack(folder: &Path, archives: &[String], selection: &Selection) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for source in runner::sources(archives, selection)? {
        let Some(name) = archive::name_of(&source) else { continue };
        let packed = folder.join(format!("{name}.tar.zst"));
        pack_one(&source, &packed, name, selection).map_err(|error| format!("{}: {error}", packed.display()))?;
    }
    Ok(())
}

fn pack_one(source: &Path, packed: &Path, name: &str, selection: &Selection) -> std::io::Result<()> {
    let mut encoder = zstd::Encoder::new(File::create(packed)?, LEVEL)?;
    encoder.long_distance_matching(true)?;
    let mut tar = tar::Builder::new(encoder);
    let mut written = Ok(());
    let chosen = |path: &str| selection.sample_ppm.is_none_or(|part| options::part_of(name, path) < part);
    archive::walk(source, chosen, |member| {
        if member.bytes.len() > MEMBER_BYTES_MAX {
            return true;
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(member.bytes.len() as u64);
        header.set_mode(0o644);
        written = tar.append_data(&mut header, &member.path, member.bytes.as_slice());
        written.is_ok()
    })?;
    written?;
    tar.into_inner()?.finish()?;
    Ok(())
}
