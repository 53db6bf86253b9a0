//! `export`.

use super::say;
use crate::{
    cli::{ExportArgs, Overrides},
    failure::{Context, Failure},
    formats::{
        e2store::EPOCH_BLOCKS,
        era1::{Era1Writer, file_name},
        list_of,
    },
    logging,
    shutdown::Shutdown,
    store::{IfMissing, Store, canonical, canonical_header},
};
use alloy_primitives::B256;
use alloy_rlp::Encodable;
use starling_primitives::{ReadError, Receipt};
use starling_storage::{StoredBlock, View};
use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

/// Blocks that are read from one view before a fresh one is taken: views expire.
const BLOCKS_PER_VIEW: u64 = 256;

pub(super) fn run(args: &ExportArgs) -> Result<(), Failure> {
    let _log = logging::start(&args.log)?;
    let shutdown = Shutdown::listen()?;
    let store = Store::open(&args.datadir, None, &Overrides::default(), IfMissing::Refuse)?;
    let export = Export { store, shutdown };
    let is_era1 = args.file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("era1"));
    if is_era1 {
        let blocks = export.range(args, 0, export.last_before_merge()?)?;
        return export.era1_files(&args.file, blocks);
    }
    let blocks = export.range(args, 1, export.store.database.head().head.number)?;
    if args.file.as_os_str() == "-" {
        return export.rlp(BufWriter::new(io::stdout().lock()), blocks).map(drop);
    }
    let count = blocks.end() + 1 - blocks.start();
    write_file(&args.file, |file| export.rlp(file, blocks))?;
    say(&format!("{}: {count} blocks", args.file.display()))
}

struct Export {
    store: Store,
    shutdown: Shutdown,
}

impl Export {
    fn range(&self, args: &ExportArgs, first: u64, last: u64) -> Result<RangeInclusive<u64>, Failure> {
        let (first, asked) = (args.first.unwrap_or(first), args.last.unwrap_or(last));
        let head = self.store.database.head().head.number;
        if asked > head {
            return Err(Failure::usage(format_args!("block {asked} is above the head, block {head}")));
        }
        if first > asked {
            return Err(Failure::usage(format_args!("no blocks from {first} to {asked}")));
        }
        Ok(first..=asked)
    }

    /// The highest canonical block of proof of work.
    fn last_before_merge(&self) -> Result<u64, Failure> {
        let view = self.store.view()?;
        let (mut low, mut high) = (0, self.store.database.head().head.number);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match canonical_header(&view, middle)?.difficulty.is_zero() {
                true => high = middle - 1,
                false => low = middle,
            }
        }
        Ok(low)
    }

    fn rlp<W: Write>(&self, mut out: W, blocks: RangeInclusive<u64>) -> Result<W, Failure> {
        self.each(blocks, |_, block| out.write_all(&block.rlp).context("cannot write"))?;
        out.flush().context("cannot write")?;
        Ok(out)
    }

    fn era1_files(&self, file: &Path, blocks: RangeInclusive<u64>) -> Result<(), Failure> {
        let (first, last) = (*blocks.start(), *blocks.end());
        if first % EPOCH_BLOCKS != 0 {
            let what = format!("an era1 file begins with a multiple of {EPOCH_BLOCKS}, not with block {first}");
            return Err(
                Failure::usage(what).remedy(format_args!("begin with block {}", first / EPOCH_BLOCKS * EPOCH_BLOCKS))
            );
        }
        let before_merge = self.last_before_merge()?;
        if last > before_merge {
            let what =
                format!("era1 holds blocks from before the merge only, which are up to block {before_merge} here");
            return Err(Failure::usage(what).remedy("end there, or export RLP"));
        }
        let epochs = first / EPOCH_BLOCKS..=last / EPOCH_BLOCKS;
        if epochs.start() == epochs.end() {
            return self.era1_epoch(file, blocks, *epochs.start());
        }
        let stem = file.file_stem().map_or("chain".into(), |stem| stem.to_string_lossy().into_owned());
        for epoch in epochs {
            let blocks = epoch * EPOCH_BLOCKS..=last.min((epoch + 1) * EPOCH_BLOCKS - 1);
            // The name needs the root, which the writing finds out.
            let partial = file.with_file_name(format!("{stem}-{epoch:05}.partial"));
            let root = self.write_era1(&partial, blocks.clone())?;
            let path = file.with_file_name(file_name(&stem, epoch, &root));
            fs::rename(&partial, &path).context(format_args!("cannot write {}", path.display()))?;
            say_era1(&path, &blocks, &root)?;
        }
        Ok(())
    }

    fn era1_epoch(&self, file: &Path, blocks: RangeInclusive<u64>, epoch: u64) -> Result<(), Failure> {
        let partial = partial(file);
        let root = self.write_era1(&partial, blocks.clone())?;
        if let Some(expected) = misnamed(file, epoch, &root) {
            // It is a copy of what the database holds.
            let _ = fs::remove_file(&partial);
            return Err(Failure::new(format_args!("{} does not fit its blocks", file.display()))
                .remedy(format_args!("the format names it {expected}")));
        }
        fs::rename(&partial, file).context(format_args!("cannot write {}", file.display()))?;
        say_era1(file, &blocks, &root)
    }

    fn write_era1(&self, path: &Path, blocks: RangeInclusive<u64>) -> Result<B256, Failure> {
        let cannot = || format!("cannot write {}", path.display());
        let file = File::create(path).context(cannot())?;
        let mut writer = Era1Writer::new(BufWriter::new(file), *blocks.start()).context(cannot())?;
        let written = self.each(blocks, |view, block| {
            let total_difficulty = view.total_difficulty(block.block).failed()?;
            let total_difficulty = total_difficulty
                .ok_or_else(|| Failure::new(format_args!("block {} has no total difficulty", block.block)))?;
            writer.push(&block.rlp, &consensus_receipts(&block)?, total_difficulty).context(cannot())
        });
        let finished = written.and_then(|()| {
            let (root, out) = writer.finish().context(cannot())?;
            out.into_inner()
                .map_err(io::IntoInnerError::into_error)
                .and_then(|file| file.sync_all())
                .context(cannot())?;
            Ok(root)
        });
        if finished.is_err() {
            // Half a file helps nobody; the error that is on its way says why.
            let _ = fs::remove_file(path);
        }
        finished
    }

    /// Calls `each` with every block in order.
    fn each(
        &self,
        blocks: RangeInclusive<u64>,
        mut each: impl FnMut(&View, StoredBlock) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut view = self.store.view()?;
        let first = *blocks.start();
        for number in blocks {
            if self.shutdown.is_asked() {
                return Err(Failure::interrupted(format_args!("interrupted at block {number}")));
            }
            if (number - first) % BLOCKS_PER_VIEW == BLOCKS_PER_VIEW - 1 {
                view = self.store.view()?;
            }
            let block = canonical(&view, number)
                .and_then(|at| view.block(at)?.ok_or_else(|| ReadError::Damaged(format!("no body for block {at}"))));
            each(&view, block.failed()?)?;
        }
        Ok(())
    }
}

fn say_era1(path: &Path, blocks: &RangeInclusive<u64>, root: &B256) -> Result<(), Failure> {
    let (first, last) = (blocks.start(), blocks.end());
    say(&format!("{}: blocks {first} to {last}, accumulator {root}", path.display()))
}

/// The right name, if the file is named in the format's way and wrongly.
fn misnamed(file: &Path, epoch: u64, root: &B256) -> Option<String> {
    let stem = file.file_stem()?.to_str()?;
    let mut parts = stem.rsplitn(3, '-');
    let (hash, number, network) = (parts.next()?, parts.next()?, parts.next()?);
    let is_name = hash.len() == 8 && number.len() == 5 && number.bytes().all(|digit| digit.is_ascii_digit());
    let expected = file_name(network, epoch, root);
    (is_name && file.file_name()?.to_str() != Some(&expected)).then_some(expected)
}

/// Receipts as an RLP list of their consensus forms; those with a type stand in a byte string.
fn consensus_receipts(block: &StoredBlock) -> Result<Vec<u8>, Failure> {
    let receipts = match block.receipts.is_empty() {
        true => Vec::new(),
        false => {
            Receipt::decode_stored_list(&block.receipts).context(format_args!("receipts of block {}", block.block))?
        }
    };
    let mut items = Vec::new();
    for receipt in &receipts {
        let mut item = Vec::new();
        receipt.encode_2718(&mut item);
        match item.first() {
            Some(kind) if *kind < 0x80 => item.as_slice().encode(&mut items),
            _ => items.extend_from_slice(&item),
        }
    }
    Ok(list_of(&[&items]).to_vec())
}

fn partial(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Writes a file beside its name and moves it there when it is whole.
fn write_file(
    path: &Path,
    write: impl FnOnce(BufWriter<File>) -> Result<BufWriter<File>, Failure>,
) -> Result<(), Failure> {
    let cannot = || format!("cannot write {}", path.display());
    let partial = partial(path);
    let file = File::create(&partial).context(cannot())?;
    let written = write(BufWriter::new(file)).and_then(|out| {
        let file = out.into_inner().map_err(io::IntoInnerError::into_error).context(cannot())?;
        file.sync_all().and_then(|()| fs::rename(&partial, path)).context(cannot())
    });
    if written.is_err() {
        // Half a file helps nobody; the error that is on its way says why.
        let _ = fs::remove_file(&partial);
    }
    written
}
