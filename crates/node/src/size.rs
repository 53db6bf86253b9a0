//! Sizes in bytes as people write them.

use std::{fmt, str::FromStr};

const UNITS: [(&str, u32); 5] = [("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

/// A size in bytes: `512MiB`, `4G`, `1048576`. Units are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let wrong = || format!("'{text}' is no size: write a number and B, KiB, MiB, GiB or TiB, like 512MiB");
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit = unit.trim().to_ascii_uppercase();
        let shift = UNITS.iter().find_map(|(name, shift)| {
            let name = name.to_ascii_uppercase();
            // "M", "MB" and "MiB" all mean the power of two
            let short = [&name[..1], &format!("{}B", &name[..1]), name.as_str()].contains(&unit.as_str());
            (short || (unit.is_empty() && *shift == 0)).then_some(*shift)
        });
        let shift = shift.ok_or_else(wrong)?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(|| format!("'{text}' is more than 64 bits of bytes"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |shift: u32| self.0 != 0 && self.0.trailing_zeros() >= shift;
        let (name, shift) = UNITS.iter().rev().find(|(_, shift)| fits(*shift)).unwrap_or(&UNITS[0]);
        write!(f, "{}{name}", self.0 >> shift)
    }
}

/// A size for people, in the largest unit that leaves a whole part.
pub(crate) fn human(size_bytes: u64) -> String {
    let (name, shift) = UNITS.iter().rev().find(|(_, shift)| size_bytes >> shift > 0).unwrap_or(&UNITS[0]);
    match shift {
        0 => format!("{size_bytes} B"),
        shift => format!("{:.1} {name}", size_bytes as f64 / (1u64 << shift) as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        let check = |text: &str, expect: Option<(u64, &str)>| {
            let got = text.parse::<Size>().ok().map(|size| (size.0, size.to_string()));
            assert_eq!(got, expect.map(|(size, shown)| (size, shown.to_string())), "{text}");
        };
        check("0", Some((0, "0B")));
        check("1000", Some((1000, "1000B")));
        check("512MiB", Some((512 << 20, "512MiB")));
        check("4G", Some((4 << 30, "4GiB")));
        check("4 gb", Some((4 << 30, "4GiB")));
        check("1k", Some((1024, "1KiB")));
        check("16777216TiB", None);
        check("", None);
        check("MiB", None);
        check("-1", None);
        check("1.5GiB", None);
        check("1x", None);
    }
}
