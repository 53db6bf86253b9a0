use super::*;
use proptest::prelude::*;

fn nibbles(hex: &str) -> Nibbles {
    format!("0x{hex}").parse().expect("nibbles")
}

/// A key that begins with these nibbles and goes on with their count.
fn key(start: &str) -> B256 {
    let rest = Nibbles::unpack(B256::repeat_byte(0x11 * (start.len() as u8 % 16)));
    let key = nibbles(start).join(&rest.slice_unchecked(start.len(), KEY_NIBBLES));
    B256::from_slice(&key.pack())
}

fn leaf(start: &str) -> Child {
    Child::Leaf { key: key(start), node: NodeRef::of(&[0xaa; 80]) }
}

fn inline(start: &str) -> Child {
    Child::Leaf { key: key(start), node: NodeRef::of(&[0xc2, 0x20, 0x07]) }
}

fn branch(extension: &str) -> Child {
    Child::Branch { extension: nibbles(extension), node: NodeRef::of(&[0xbb; 80]) }
}

fn children<const N: usize>(some: [(usize, Child); N]) -> Children {
    let mut children = [Child::Empty; 16];
    for (nibble, child) in some {
        children[nibble] = child;
    }
    children
}

/// The references in [`leaf`] and [`branch`].
const LEAF_NODE: &str = "a0fe36b541da97e52d590cfb850f43060db1dbf174ebfc081161fd05d9a5e53336";
const BRANCH_NODE: &str = "a037fc45442495c65f2aaf219bf626bf1b37d6ea6408ec0b694a28291245f7b883";

/// The row of the branch at `path` is this, and reads back.
fn check(path: &str, some: &Children, expect: &str) {
    let mut row = Vec::new();
    encode_branch(path.len(), some, &mut row);
    let expect = expect.replace(' ', "").replace("LEAF", LEAF_NODE).replace("BRANCH", BRANCH_NODE);
    assert_eq!(alloy_primitives::hex::encode(&row), expect, "path {path}");
    assert_eq!(decode_branch(&nibbles(path), &row), Ok(*some), "path {path}");
    check_damage(&nibbles(path), &row);
}

/// No damage to a row makes reading panic, and what still reads is the one way to write what was read.
fn check_damage(path: &Nibbles, row: &[u8]) {
    let read = |damaged: &[u8]| {
        if let Ok(children) = decode_branch(path, damaged) {
            let mut again = Vec::new();
            encode_branch(path.len(), &children, &mut again);
            assert_eq!(again, damaged);
        }
    };
    for length in 0..row.len() {
        assert!(decode_branch(path, &row[..length]).is_err());
    }
    assert!(decode_branch(path, &[row, &[0]].concat()).is_err());
    let mut damaged = row.to_vec();
    for bit in 0..row.len() * 8 {
        damaged[bit / 8] ^= 1 << (bit % 8);
        read(&damaged);
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn rows_are_frozen() {
    let ones = "11".repeat(31);
    // At the root a leaf's remainder is its whole key.
    check("", &children([(0, leaf("0")), (15, branch(""))]), &format!("01 0001 8000 0000 LEAF BRANCH 01{ones}"));
    // At an odd depth a leaf's own nibble is the lower half of the byte before; at an even one it is stored.
    check(
        "a",
        &children([(3, leaf("a3")), (4, inline("a4")), (9, branch("b"))]),
        &format!("01 0018 0200 0200 LEAF c22007 BRANCH {twos} {twos} 01b0", twos = "22".repeat(31)),
    );
    check(
        "ab",
        &children([(7, leaf("ab7")), (8, branch("01234"))]),
        &format!("01 0080 0100 0100 LEAF BRANCH 73{} 050123 40", "33".repeat(30)),
    );
    // A full branch of branches, as most near the root are: 535 bytes.
    check("0f", &[branch(""); 16], &format!("01 0000 ffff 0000 {}", "BRANCH".repeat(16)));
    // The deepest: nothing is left of the keys.
    let deep = "5".repeat(63);
    check(
        &deep,
        &children([(1, inline(&format!("{deep}1"))), (2, inline(&format!("{deep}2")))]),
        "01 0006 0000 0000 c22007 c22007",
    );
}

#[test]
fn root_rows_are_frozen() {
    let root = B256::repeat_byte(0xcc);
    let (cs, key) = ("cc".repeat(32), key("3"));
    let rows = [
        (RootRow::Leaf { key, root }, encode_root_leaf(&key, &root), format!("0231{}{cs}", "11".repeat(31))),
        (
            RootRow::Extension { path: nibbles("abc"), root },
            encode_root_extension(&nibbles("abc"), &root),
            format!("0303abc0{cs}"),
        ),
    ];
    for (read, row, expect) in rows {
        assert_eq!(alloy_primitives::hex::encode(&row), expect);
        assert_eq!(decode_root(&row), Ok(read));
        for length in 0..row.len() {
            assert!(decode_root(&row[..length]).is_err());
        }
        assert!(decode_root(&[&row[..], &[0]].concat()).is_err());
    }
    assert_eq!(decode_root(&[BRANCH]), Ok(RootRow::Branch));
    assert!(decode_root(&[0]).is_err() && decode_root(&[4]).is_err());
}

#[test]
fn flaws_are_named() {
    let row = |path: &str, some: &Children| {
        let mut row = Vec::new();
        encode_branch(path.len(), some, &mut row);
        row
    };
    let two = row("", &children([(0, leaf("0")), (1, branch("2"))]));
    let edited = |at: usize, byte: u8| {
        let mut row = two.clone();
        row[at] = byte;
        row
    };
    let last = two.len() - 1;
    let cases = [
        (edited(0, LEAF), "not a branch"),
        (edited(4, 0b11), "masks contradict each other"),
        (edited(6, 0b01), "masks contradict each other"),
        (edited(2, 0b00), "masks contradict each other"),
        (edited(7, 0x80), "not a node reference"),
        (edited(7, 0xdf), "not a node reference"),
        (edited(7 + 66, 0x10), "a leaf's key contradicts its place"),
        (edited(last, 0x21), "an extension is not padded with zero"),
        (edited(last - 1, 0), "an extension of impossible length"),
        (edited(last - 1, 63), "an extension of impossible length"),
        (edited(last - 1, 62), "cut short"),
        (edited(last - 1, 1)[..last].to_vec(), "cut short"),
        ([&two[..], &[0]].concat(), "bytes after its end"),
    ];
    for (row, flaw) in cases {
        assert_eq!(decode_branch(&Nibbles::new(), &row), Err(flaw));
    }
    // A branch 63 nibbles down has leaves only: no room for a branch below, and none for an extension above.
    let deep = "5".repeat(63);
    let below = row(&deep, &children([(0, leaf(&format!("{deep}0"))), (1, branch(""))]));
    assert!(decode_branch(&nibbles(&deep), &below).is_ok());
    assert!(decode_branch(&nibbles(&"5".repeat(64)), &two).is_err());
    let behind = row(&deep[1..], &children([(0, branch("1")), (1, branch(""))]));
    assert_eq!(decode_branch(&nibbles(&deep[1..]), &behind), Err("an extension of impossible length"));
}

fn any_node() -> impl Strategy<Value = NodeRef> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 32..40).prop_map(|rlp| NodeRef::of(&rlp)),
        prop::collection::vec(any::<u8>(), 0..31)
            .prop_map(|payload| NodeRef::of(&[&[0xc0 + payload.len() as u8], &payload[..]].concat())),
    ]
}

fn any_branch() -> impl Strategy<Value = (Nibbles, Children)> {
    let child = (0..3u8, any_node(), any::<[u8; 32]>(), 0..63usize);
    let children = prop::collection::vec(child, 16);
    (any::<[u8; 32]>(), 0..64usize, children).prop_filter_map("a branch has two children", |(start, depth, some)| {
        let path = Nibbles::unpack(start).slice_unchecked(0, depth);
        let mut children = [Child::Empty; 16];
        for (nibble, (kind, node, rest, length)) in some.into_iter().enumerate() {
            let mut key = path;
            key.push(nibble as u8);
            key.extend(&Nibbles::unpack(rest).slice_unchecked(depth + 1, KEY_NIBBLES));
            let extension = Nibbles::unpack(rest).slice_unchecked(0, length.min(62usize.saturating_sub(depth)));
            children[nibble] = match kind {
                0 => Child::Empty,
                1 => Child::Leaf { key: B256::from_slice(&key.pack()), node },
                _ => Child::Branch { extension, node },
            };
        }
        (children.iter().filter(|child| child.node().is_some()).count() > 1).then_some((path, children))
    })
}

proptest! {
    #[test]
    fn rows_read_back((path, children) in any_branch(), noise in any::<[u8; 4]>()) {
        let mut row = Vec::new();
        encode_branch(path.len(), &children, &mut row);
        prop_assert_eq!(decode_branch(&path, &row), Ok(children));
        let at = usize::from(u16::from_be_bytes([noise[0], noise[1]])) % row.len();
        row[at] = noise[2];
        if let Ok(read) = decode_branch(&path, &row) {
            let mut again = Vec::new();
            encode_branch(path.len(), &read, &mut again);
            prop_assert_eq!(again, row);
        }
    }

    #[test]
    fn noise_does_not_panic(row in prop::collection::vec(any::<u8>(), 0..200), path in any::<[u8; 32]>(), depth in 0..65usize) {
        let _ = decode_branch(&Nibbles::unpack(path).slice_unchecked(0, depth), &row);
        let _ = decode_root(&row);
    }
}
