//! Numbers modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1, in Montgomery form: a number a is held as a · 2^256 mod p,
//! in four limbs, least significant first, always below p.

use alloy_primitives::U256;
use std::ops::{Add, Mul, Sub};

const P: [u64; 4] = [0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_ffff, 0, 0xffff_ffff_0000_0001];

/// 2^512 mod p: what takes a number into Montgomery form.
const R2: Fe = Fe([3, 0xffff_fffb_ffff_ffff, 0xffff_ffff_ffff_fffe, 0x0000_0004_ffff_fffd]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fe([u64; 4]);

impl Fe {
    pub(super) const ZERO: Self = Self([0; 4]);

    /// None if the number is not below p.
    pub(super) fn new(number: U256) -> Option<Self> {
        (number < U256::from_limbs(P)).then(|| Self(*number.as_limbs()) * R2)
    }

    pub(super) fn one() -> Self {
        Self([1, 0, 0, 0]) * R2
    }

    pub(super) fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// The product with itself: the six mixed products once, doubled, and the four squares.
    pub(super) fn square(self) -> Self {
        let [a0, a1, a2, a3] = self.0;
        let (t1, carry) = multiply_add(0, a0, a1, 0);
        let (t2, carry) = multiply_add(0, a0, a2, carry);
        let (t3, t4) = multiply_add(0, a0, a3, carry);
        let (t3, carry) = multiply_add(t3, a1, a2, 0);
        let (t4, t5) = multiply_add(t4, a1, a3, carry);
        let (t5, t6) = multiply_add(t5, a2, a3, 0);

        let t7 = t6 >> 63;
        let double = |high: u64, low: u64| high << 1 | low >> 63;
        let (t1, t2, t3, t4, t5, t6) =
            (t1 << 1, double(t2, t1), double(t3, t2), double(t4, t3), double(t5, t4), double(t6, t5));

        let (t0, carry) = multiply_add(0, a0, a0, 0);
        let (t1, carry) = multiply_add(t1, carry, 1, 0);
        let (t2, carry) = multiply_add(t2, a1, a1, carry);
        let (t3, carry) = multiply_add(t3, carry, 1, 0);
        let (t4, carry) = multiply_add(t4, a2, a2, carry);
        let (t5, carry) = multiply_add(t5, carry, 1, 0);
        let (t6, carry) = multiply_add(t6, a3, a3, carry);
        let (t7, _) = multiply_add(t7, carry, 1, 0);

        let low = clear_lowest(clear_lowest(clear_lowest(clear_lowest([t0, t1, t2, t3]))));
        let (sum, carry) = add_limbs(low, [t4, t5, t6, t7]);
        Self::reduce_once(sum, carry)
    }

    pub(super) fn double(self) -> Self {
        self + self
    }

    /// The inverse, by Fermat: to the power of p - 2. Zero for zero.
    pub(super) fn invert(self) -> Self {
        let exponent = U256::from_limbs(P) - U256::from(2);
        (0..256).rev().fold(Self::one(), |power, bit| {
            let square = power.square();
            if exponent.bit(bit) { square * self } else { square }
        })
    }

    /// Subtracts p if the number, with the carry above it, is not below p. By masks: which way it goes is as good
    /// as random, and a branch would be guessed wrong half the time.
    #[inline(always)]
    fn reduce_once(limbs: [u64; 4], carry: u64) -> Self {
        let (reduced, borrow) = sub_limbs(limbs, P);
        let keep = mask(borrow & (carry == 0));
        Self(std::array::from_fn(|i| (limbs[i] & keep) | (reduced[i] & !keep)))
    }
}

#[cfg(test)]
impl Fe {
    /// The number itself.
    pub(super) fn to_number(self) -> U256 {
        U256::from_limbs((self * Self([1, 0, 0, 0])).0)
    }
}

impl Add for Fe {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        let (sum, carry) = add_limbs(self.0, other.0);
        Self::reduce_once(sum, carry)
    }
}

impl Sub for Fe {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        let (difference, borrow) = sub_limbs(self.0, other.0);
        // Below zero: the carry of adding p cancels the borrow.
        let add = mask(borrow);
        Self(add_limbs(difference, P.map(|limb| limb & add)).0)
    }
}

impl Mul for Fe {
    type Output = Self;

    /// Montgomery's product a · b / 2^256, limb by limb.
    #[inline]
    fn mul(self, other: Self) -> Self {
        let a = self.0;
        let mut t = [0u64; 5];
        for b in other.0 {
            let (t0, carry) = multiply_add(t[0], a[0], b, 0);
            let (t1, carry) = multiply_add(t[1], a[1], b, carry);
            let (t2, carry) = multiply_add(t[2], a[2], b, carry);
            let (t3, carry) = multiply_add(t[3], a[3], b, carry);
            let (t4, t5) = multiply_add(t[4], carry, 1, 0);

            let [r0, r1, r2, high] = clear_lowest([t0, t1, t2, t3]);
            let (r3, carry) = multiply_add(t4, high, 1, 0);
            let (r4, _) = multiply_add(t5, carry, 1, 0);
            t = [r0, r1, r2, r3, r4];
        }
        Self::reduce_once([t[0], t[1], t[2], t[3]], t[4])
    }
}

/// Adds the multiple of p that clears the lowest limb, and drops that limb. The multiple is the limb m itself, since
/// p ≡ -1 mod 2^64, and (p + 1) / 2^64 = 2^192 - 2^160 + 2^128 + 2^32: a shift, and one product at 2^128.
#[inline(always)]
fn clear_lowest([m, t1, t2, t3]: [u64; 4]) -> [u64; 4] {
    let (r0, carry) = multiply_add(t1, m << 32, 1, 0);
    let (r1, carry) = multiply_add(t2, m >> 32, 1, carry);
    let (r2, r3) = multiply_add(t3, m, P[3], carry);
    [r0, r1, r2, r3]
}

/// sum + a · b + carry, low and high half; cannot overflow.
#[inline(always)]
fn multiply_add(sum: u64, a: u64, b: u64, carry: u64) -> (u64, u64) {
    let wide = u128::from(sum) + u128::from(a) * u128::from(b) + u128::from(carry);
    (wide as u64, (wide >> 64) as u64)
}

/// All bits or none.
#[inline(always)]
fn mask(all: bool) -> u64 {
    u64::from(all).wrapping_neg()
}

#[inline(always)]
fn add_limbs(a: [u64; 4], b: [u64; 4]) -> ([u64; 4], u64) {
    let (s0, carry) = multiply_add(a[0], b[0], 1, 0);
    let (s1, carry) = multiply_add(a[1], b[1], 1, carry);
    let (s2, carry) = multiply_add(a[2], b[2], 1, carry);
    let (s3, carry) = multiply_add(a[3], b[3], 1, carry);
    ([s0, s1, s2, s3], carry)
}

#[inline(always)]
fn sub_limbs(a: [u64; 4], b: [u64; 4]) -> ([u64; 4], bool) {
    let (d0, borrow) = sub_with_borrow(a[0], b[0], false);
    let (d1, borrow) = sub_with_borrow(a[1], b[1], borrow);
    let (d2, borrow) = sub_with_borrow(a[2], b[2], borrow);
    let (d3, borrow) = sub_with_borrow(a[3], b[3], borrow);
    ([d0, d1, d2, d3], borrow)
}

#[inline(always)]
fn sub_with_borrow(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, first) = a.overflowing_sub(b);
    let (difference, second) = difference.overflowing_sub(u64::from(borrow));
    (difference, first | second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = U256> {
        let p = U256::from_limbs(P);
        let edge = prop::sample::select(vec![
            U256::ZERO,
            U256::ONE,
            p - U256::ONE,
            p - U256::from(2),
            U256::from(u64::MAX),
            U256::from(1) << 255,
        ]);
        let any = any::<[u64; 4]>().prop_map(move |limbs| U256::from_limbs(limbs) % p);
        prop_oneof![1 => edge, 4 => any]
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_whole_numbers_modulo_p(a in number(), b in number()) {
            let p = U256::from_limbs(P);
            let (x, y) = (Fe::new(a).unwrap(), Fe::new(b).unwrap());
            prop_assert_eq!(x.to_number(), a);
            prop_assert_eq!((x + y).to_number(), a.add_mod(b, p));
            prop_assert_eq!((x - y).to_number(), a.add_mod(p - b, p));
            prop_assert_eq!((x * y).to_number(), a.mul_mod(b, p));
            prop_assert_eq!(x.square(), x * x);
            if !a.is_zero() {
                prop_assert_eq!(x.invert() * x, Fe::one());
            }
        }
    }

    #[test]
    fn numbers_from_p_on_are_refused() {
        assert!(Fe::new(U256::from_limbs(P)).is_none());
        assert!(Fe::new(U256::MAX).is_none());
        assert_eq!(Fe::one().to_number(), U256::ONE);
        assert!(Fe::ZERO.invert().is_zero());
    }
}
