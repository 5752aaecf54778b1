//! Blowfish with bcrypt's key expansion, for several independent lanes in one loop.
//!
//! Almost all of a login's time is spent here. A round of Blowfish is a chain of dependent table look-ups, in which a
//! core mostly waits for its L1 cache; rounds of other lanes fill these waits. So the innermost loop always runs over
//! the lanes. There are two versions: a few lanes are limited by the length of the chain, many lanes by the number of
//! registers.
//!
//! Knows only tables and words: `lanes` decides which hash is computed in which lane. Allocates nothing.

#![expect(
    clippy::needless_range_loop,
    reason = "a lane's number indexes several arrays at once"
)]

use zeroize::Zeroize;

use super::pi;

/// The highest number of lanes: more lanes were slower on every processor that was measured.
pub const MAX_LANES: usize = 10;

/// From this number of lanes on, the two halves of a block are packed into one register.
const FEWEST_PACKED: usize = 5;

/// Blowfish's four tables of 256 words, one after the other.
type Tables = [u32; 1024];

/// The 18 words into which keys are mixed. A key that is repeated to this length has the same form.
pub(super) type Subkeys = [u32; 18];

/// The text `OrpheanBeholderScryDoubt`, which bcrypt encrypts with the expanded key.
const PLAIN: [[u32; 2]; 3] = [
    [0x4f72_7068, 0x6561_6e42],
    [0x6568_6f6c, 0x6465_7253],
    [0x6372_7944, 0x6f75_6274],
];

/// The Blowfish state of all lanes. Aligned, so that no table shares a cache line with anything else.
#[repr(align(64))]
pub(super) struct BlowfishState {
    tables: [Tables; MAX_LANES],
    subkeys: [Subkeys; MAX_LANES],
    /// Password and salt, which bcrypt mixes in alternately.
    keys: [[Subkeys; 2]; MAX_LANES],
}

impl BlowfishState {
    pub(super) fn new() -> Self {
        Self {
            tables: [[0; 1024]; MAX_LANES],
            subkeys: [[0; 18]; MAX_LANES],
            keys: [[[0; 18]; 2]; MAX_LANES],
        }
    }

    /// Starts a hash in one lane: the initial state, and the expansion with password and salt together.
    pub(super) fn start(&mut self, lane: usize, password: &Subkeys, salt: &Subkeys) {
        self.tables[lane] = pi::S;
        self.subkeys[lane] = pi::P;
        self.keys[lane] = [*password, *salt];
        let tables = std::array::from_mut(&mut self.tables[lane]);
        let subkeys = std::array::from_mut(&mut self.subkeys[lane]);
        mix_in(&mut subkeys[0], password);
        let (mut left, mut right) = ([0], [0]);
        // The salt has four words, so the blocks alternate between its first two and its last two.
        for j in 0..9 {
            left[0] ^= salt[j % 2 * 2];
            right[0] ^= salt[j % 2 * 2 + 1];
            encipher(tables, subkeys, &mut left, &mut right);
            subkeys[0][2 * j] = left[0];
            subkeys[0][2 * j + 1] = right[0];
        }
        for j in 0..512 {
            left[0] ^= salt[(j + 1) % 2 * 2];
            right[0] ^= salt[(j + 1) % 2 * 2 + 1];
            encipher(tables, subkeys, &mut left, &mut right);
            tables[0][2 * j] = left[0];
            tables[0][2 * j + 1] = right[0];
        }
    }

    /// Runs one round of each of the first `lanes` lanes: an expansion with the password and one with the salt.
    pub(super) fn round(&mut self, lanes: usize) {
        match lanes {
            1 => self.round_of::<1>(),
            2 => self.round_of::<2>(),
            3 => self.round_of::<3>(),
            4 => self.round_of::<4>(),
            5 => self.round_of::<5>(),
            6 => self.round_of::<6>(),
            7 => self.round_of::<7>(),
            8 => self.round_of::<8>(),
            9 => self.round_of::<9>(),
            10 => self.round_of::<10>(),
            _ => {}
        }
    }

    fn round_of<const M: usize>(&mut self) {
        if M < FEWEST_PACKED {
            self.round_in_halves::<M>();
        } else {
            self.round_packed::<M>();
        }
    }

    fn round_in_halves<const M: usize>(&mut self) {
        for key in 0..2 {
            for i in 0..M {
                mix_in(&mut self.subkeys[i], &self.keys[i][key]);
            }
            expand::<M>(&mut self.tables, &mut self.subkeys);
        }
    }

    fn round_packed<const M: usize>(&mut self) {
        let mut subkeys = [[0; M]; 9];
        for i in 0..M {
            for j in 0..9 {
                subkeys[j][i] = packed(self.subkeys[i][2 * j], self.subkeys[i][2 * j + 1]);
            }
        }
        for key in 0..2 {
            for i in 0..M {
                let words = &self.keys[i][key];
                for j in 0..9 {
                    subkeys[j][i] ^= packed(words[2 * j], words[2 * j + 1]);
                }
            }
            expand_packed(&mut self.tables, &mut subkeys);
        }
        for i in 0..M {
            for j in 0..9 {
                self.subkeys[i][2 * j] = subkeys[j][i] as u32;
                self.subkeys[i][2 * j + 1] = (subkeys[j][i] >> 32) as u32;
            }
        }
        subkeys.zeroize();
    }

    /// The digest of the lane's state, which is not changed.
    pub(super) fn digest(&self, lane: usize) -> [u8; 23] {
        let tables = std::array::from_ref(&self.tables[lane]);
        let subkeys = std::array::from_ref(&self.subkeys[lane]);
        let mut digest = [0; 24];
        for (plain, bytes) in PLAIN.iter().zip(digest.chunks_exact_mut(8)) {
            let (mut left, mut right) = ([plain[0]], [plain[1]]);
            for _ in 0..64 {
                encipher(tables, subkeys, &mut left, &mut right);
            }
            bytes[..4].copy_from_slice(&left[0].to_be_bytes());
            bytes[4..].copy_from_slice(&right[0].to_be_bytes());
        }
        // The last byte is not part of a bcrypt hash: the first implementation omitted it.
        let mut kept = [0; 23];
        kept.copy_from_slice(&digest[..23]);
        kept
    }

    /// Ends a lane: the last lane in use is moved to its position, and the position of the last lane is wiped.
    pub(super) fn close(&mut self, lane: usize, last: usize) {
        if lane != last {
            self.tables[lane] = self.tables[last];
            self.subkeys[lane] = self.subkeys[last];
            self.keys[lane] = self.keys[last];
        }
        self.tables[last].zeroize();
        self.subkeys[last].zeroize();
        self.keys[last].zeroize();
    }
}

impl Drop for BlowfishState {
    fn drop(&mut self) {
        self.tables.zeroize();
        self.subkeys.zeroize();
        self.keys.zeroize();
    }
}

fn mix_in(subkeys: &mut Subkeys, key: &Subkeys) {
    for (subkey, word) in subkeys.iter_mut().zip(key) {
        *subkey ^= word;
    }
}

fn packed(left: u32, right: u32) -> u64 {
    u64::from(left) | u64::from(right) << 32
}

/// Replaces the subkeys and tables of the first `M` lanes by the cipher's output.
///
/// Not inlined, so that the compiler has all registers for the loop: inlined into a caller it is up to a tenth slower.
#[inline(never)]
fn expand<const M: usize>(tables: &mut [Tables; MAX_LANES], subkeys: &mut [Subkeys; MAX_LANES]) {
    let (mut left, mut right) = ([0; M], [0; M]);
    for j in 0..9 {
        encipher(tables, subkeys, &mut left, &mut right);
        for i in 0..M {
            subkeys[i][2 * j] = left[i];
            subkeys[i][2 * j + 1] = right[i];
        }
    }
    for j in 0..512 {
        encipher(tables, subkeys, &mut left, &mut right);
        for i in 0..M {
            tables[i][2 * j] = left[i];
            tables[i][2 * j + 1] = right[i];
        }
    }
}

/// Does what [`expand`] does, for packed blocks.
#[inline(never)]
fn expand_packed<const M: usize>(tables: &mut [Tables; MAX_LANES], subkeys: &mut [[u64; M]; 9]) {
    let mut blocks = [0; M];
    for j in 0..9 {
        encipher_packed(tables, subkeys, &mut blocks);
        subkeys[j] = blocks;
    }
    for j in 0..512 {
        encipher_packed(tables, subkeys, &mut blocks);
        for i in 0..M {
            tables[i][2 * j] = blocks[i] as u32;
            tables[i][2 * j + 1] = (blocks[i] >> 32) as u32;
        }
    }
}

/// Blowfish's round function. Each index is a byte plus the start of its table, so the compiler can prove that it is in
/// range. Uses shifts instead of `to_be_bytes`, which is a fifth slower with many lanes.
#[inline(always)]
fn look_up(tables: &Tables, half: u32) -> u32 {
    let byte = |shift: u32| (half >> shift & 0xff) as usize;
    (tables[byte(24)].wrapping_add(tables[256 + byte(16)]) ^ tables[512 + byte(8)])
        .wrapping_add(tables[768 + byte(0)])
}

/// Encrypts one block in each of the first `M` of `N` lanes.
#[inline(always)]
fn encipher<const M: usize, const N: usize>(
    tables: &[Tables; N],
    subkeys: &[Subkeys; N],
    left: &mut [u32; M],
    right: &mut [u32; M],
) {
    for i in 0..M {
        left[i] ^= subkeys[i][0];
    }
    for j in 0..8 {
        for i in 0..M {
            // The subkey first: it is available long before the look-up.
            right[i] ^= subkeys[i][2 * j + 1];
            right[i] ^= look_up(&tables[i], left[i]);
        }
        for i in 0..M {
            left[i] ^= subkeys[i][2 * j + 2];
            left[i] ^= look_up(&tables[i], right[i]);
        }
    }
    for i in 0..M {
        right[i] ^= subkeys[i][17];
    }
    std::mem::swap(left, right);
}

/// Does what [`encipher`] does, with both halves of a block in one word, the left half in the low bits. The subkeys are
/// ordered by their time of use instead of by lane. Each pair of subkeys is mixed in half a round before its second
/// half is needed, so that no lane waits for it.
#[inline(always)]
fn encipher_packed<const M: usize>(
    tables: &[Tables; MAX_LANES],
    subkeys: &[[u64; M]; 9],
    blocks: &mut [u64; M],
) {
    for i in 0..M {
        blocks[i] ^= subkeys[0][i];
    }
    for j in 0..8 {
        for i in 0..M {
            blocks[i] ^= u64::from(look_up(&tables[i], blocks[i] as u32)) << 32;
        }
        for i in 0..M {
            let right = (blocks[i] >> 32) as u32;
            blocks[i] = (blocks[i] ^ subkeys[j + 1][i]) ^ u64::from(look_up(&tables[i], right));
        }
    }
    for block in blocks {
        *block = block.rotate_left(32);
    }
}
