use super::*;
use proptest::prelude::*;

fn scalar() -> impl Strategy<Value = U256> {
    let edge = prop::sample::select(vec![
        U256::ZERO,
        U256::ONE,
        U256::from(2),
        N - U256::ONE,
        N - U256::from(2),
        U256::from(1) << 255,
    ]);
    prop_oneof![1 => edge, 4 => any::<[u64; 4]>().prop_map(|limbs| U256::from_limbs(limbs) % N)]
}

/// k·P by the schoolbook.
fn multiply(k: U256, point: Point) -> Point {
    (0..256).rev().fold(Point::INFINITY, |sum, bit| {
        let double = sum.double();
        if k.bit(bit) { double.add(point) } else { double }
    })
}

fn same(a: Point, b: Point) -> bool {
    match (a.is_infinity(), b.is_infinity()) {
        (false, false) => {
            let (a, b) = (a.to_affine(), b.to_affine());
            a.x == b.x && a.y == b.y
        }
        (a, b) => a == b,
    }
}

fn bytes(first: U256, second: U256) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&first.to_be_bytes::<32>());
    bytes[32..].copy_from_slice(&second.to_be_bytes::<32>());
    bytes
}

fn generator() -> Affine {
    Affine::on_curve(GX, GY).expect("G is on its curve")
}

#[test]
fn the_group_has_n_points() {
    let g = Point::from(generator());
    assert!(multiply(N, g).is_infinity());
    assert!(same(multiply(N - U256::ONE, g), g.negate()));
    assert!(same(g.add(g), g.double()));
    assert!(g.add(g.negate()).is_infinity());
    assert!(Point::INFINITY.double().is_infinity());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn windows_add_up_to_the_scalar(k in scalar(), bits in 2usize..8) {
        let digits = signed_windows(k, bits);
        let sum = digits.iter().rev().fold(U256::ZERO, |sum, digit| {
            let step = U256::from(digit.unsigned_abs());
            let double = sum.add_mod(sum, N);
            if *digit < 0 { double.add_mod(N - step, N) } else { double.add_mod(step, N) }
        });
        prop_assert_eq!(sum, k);
        prop_assert!(digits.iter().all(|digit| *digit == 0 || digit % 2 != 0));
        prop_assert!(digits.iter().all(|digit| usize::from(digit.unsigned_abs()) < 1 << (bits - 1)));
    }

    #[test]
    fn combinations_are_those_of_the_schoolbook(u1 in scalar(), u2 in scalar(), secret in scalar()) {
        let g = Point::from(generator());
        let key = multiply(if secret.is_zero() { U256::ONE } else { secret }, g).to_affine();
        let expected = multiply(u1, g).add(multiply(u2, key.into()));
        prop_assert!(same(linear_combination(u1, key, u2), expected));
    }

    #[test]
    fn signatures_verify_and_any_change_breaks_them(secret in scalar(), nonce in scalar(), hash: [u8; 32], flip in 0usize..1280) {
        prop_assume!(!secret.is_zero() && !nonce.is_zero());
        let g = Point::from(generator());
        let key = multiply(secret, g).to_affine();
        let key = bytes(key.x.to_number(), key.y.to_number());
        let r = multiply(nonce, g).to_affine().x.to_number() % N;
        let z = U256::from_be_bytes(hash) % N;
        let s = z.add_mod(r.mul_mod(secret, N), N).mul_mod(nonce.inv_mod(N).unwrap(), N);
        prop_assume!(!r.is_zero() && !s.is_zero());
        prop_assert!(verify(&hash, &bytes(r, s), &key));
        prop_assert!(verify(&hash, &bytes(r, N - s), &key), "both halves of s are allowed");

        let mut input = [hash.as_slice(), &bytes(r, s), &key].concat();
        input[flip / 8] ^= 1 << (flip % 8);
        let (hash, rest) = input.split_first_chunk::<32>().unwrap();
        let (signature, rest) = rest.split_first_chunk::<64>().unwrap();
        prop_assert!(!verify(hash, signature, rest.first_chunk().unwrap()));
    }
}

#[test]
fn what_is_out_of_range_is_refused() {
    let (hash, key) = ([1; 32], bytes(GX, GY));
    for (r, s) in [(U256::ZERO, U256::ONE), (U256::ONE, U256::ZERO), (N, U256::ONE), (U256::ONE, N)] {
        assert!(!verify(&hash, &bytes(r, s), &key));
    }
    for (x, y) in [(U256::ZERO, U256::ZERO), (U256::MAX, GY), (GX, U256::MAX), (GX, GY + U256::ONE)] {
        assert!(!verify(&hash, &bytes(U256::ONE, U256::ONE), &bytes(x, y)));
    }
}
