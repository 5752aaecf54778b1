//! Known answers, computed at every start: a processor or a build that computes anything else must not decide logins.

use super::lanes::{Lanes, Order};
use super::{Error, PasswordHash};

/// Passwords and their hashes, of different lengths and costs.
const KNOWN: [(&[u8], &str); 4] = [
    (
        b"Kk4DQuMMfZL9o",
        "$2b$04$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm",
    ),
    (
        b"",
        "$2a$04$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy",
    ),
    (
        b"U*U",
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    ),
    (
        b"9IeRXmnGxMYbs",
        "$2b$04$pQ7gRO7e6wx/936oXhNjrOUNOHL1D0h1N2IDbJZYs.1ppzSof6SPy",
    ),
];

/// Computes the known answers with every number of lanes up to `width`.
pub(super) fn run(width: usize) -> Result<(), Error> {
    let known = KNOWN.map(|(password, hash)| (password, hash.parse::<PasswordHash>()));
    let mut lanes = Box::new(Lanes::new());
    for count in 1..=width {
        for (password, hash) in known.iter().cycle().take(count) {
            let hash = hash.as_ref().map_err(|_| Error::SelfTest)?;
            let order = Order::new(password, &hash.salt(), hash.cost(), hash.cost());
            lanes.join(&order, hash).map_err(|_| Error::SelfTest)?;
        }
        while lanes.in_use() > 0 {
            lanes.round();
            while let Some((hash, digest)) = lanes.take_finished() {
                if *digest != *hash.digest() {
                    return Err(Error::SelfTest);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_answers_are_bcrypts() {
        for (password, hash) in KNOWN {
            assert!(bcrypt::verify(password, hash).unwrap(), "{hash}");
        }
        assert!(run(super::super::MAX_LANES).is_ok());
    }
}
