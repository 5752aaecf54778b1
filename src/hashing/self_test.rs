//! The known-answer test that runs at every start: a processor or build that computes bcrypt wrongly must not decide
//! logins.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::lanes::{HashInput, Lanes};
use super::{Error, PasswordHash};
use crate::threads;

/// A password and its hash.
type KnownAnswer = (&'static [u8], &'static str);

/// Passwords of different lengths, with the lowest cost because every start waits for them.
const KNOWN: [KnownAnswer; 4] = [
    (
        b"Kk4DQuMMfZL9o",
        "$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm",
    ),
    (
        b"",
        "$2a$04$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy",
    ),
    (
        b"U*U\xff a longer one, of more than the eighteen words of the box",
        "$2b$04$jVPaSPoFcOE3SJvd3pJKSeLkehHFNQutaWJLePcbkpLNuEPadXUWO",
    ),
    (
        b"9IeRXmnGxMYbs",
        "$2b$04$pQ7gRO7e6wx/936oXhNjrOUNOHL1D0h1N2IDbJZYs.1ppzSof6SPy",
    ),
];

/// Computes the known answers with every number of lanes up to `width`, on up to `threads` threads.
pub(super) fn run(width: usize, threads: usize) -> Result<(), Error> {
    compute_all(&KNOWN, width, threads)
}

fn compute_all(known: &[KnownAnswer], width: usize, threads: usize) -> Result<(), Error> {
    let left = AtomicUsize::new(width);
    let test = || {
        let next = |left: usize| left.checked_sub(1);
        let mut lanes = Box::new(Lanes::new());
        // The largest number first, so that the threads finish at about the same time.
        while let Ok(count @ 1..) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            compute(known, &mut lanes, count)?;
        }
        Ok(())
    };
    threads::share(threads.min(width), test)
        .into_iter()
        .collect()
}

fn compute(
    known: &[KnownAnswer],
    lanes: &mut Lanes<PasswordHash>,
    count: usize,
) -> Result<(), Error> {
    for (password, hash) in known.iter().cycle().take(count) {
        let hash: PasswordHash = hash.parse().map_err(|_| Error::SelfTest)?;
        let input = HashInput::new(password, &hash.salt(), hash.cost(), hash.cost());
        lanes.join(&input, hash).map_err(|_| Error::SelfTest)?;
    }
    while lanes.in_use() > 0 {
        lanes.round();
        while let Some((hash, digest)) = lanes.take_finished() {
            if *digest != *hash.digest() {
                return Err(Error::SelfTest);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bcrypt_crate_agrees_with_the_known_answers() {
        for (password, hash) in KNOWN {
            assert!(bcrypt::verify(password, hash).unwrap(), "{hash}");
        }
        for threads in [1, 2, 100] {
            assert!(run(super::super::MAX_LANES, threads).is_ok());
        }
    }

    #[test]
    fn a_wrong_answer_fails_with_any_number_of_lanes() {
        let (_, hash) = KNOWN[0];
        for width in 1..=super::super::MAX_LANES {
            for threads in [1, 2] {
                let result = compute_all(&[(b"another", hash)], width, threads);
                assert!(matches!(result, Err(Error::SelfTest)), "{width} {threads}");
            }
        }
        let only_last = [KNOWN[1], KNOWN[2], (b"another".as_slice(), hash)];
        assert!(compute_all(&only_last, 2, 1).is_ok());
        assert!(compute_all(&only_last, 3, 1).is_err());
    }
}
