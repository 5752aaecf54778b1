//! The text form of a bcrypt hash, `$2b$12$` and 53 characters, and its parts.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;
use bcrypt::BASE_64;

use super::Error;
use super::foreign::reason;

/// The 22 characters of a salt have four bits more than its 16 bytes. Some programs set these bits, and crypt(3)
/// ignores them. The digest's padding bits are not ignored by crypt(3), so they must be zero here.
const SALT: GeneralPurpose =
    GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// bcrypt's cost: a hash takes 2^cost rounds of key expansion. 4 to 15 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u8);

impl Cost {
    /// The lowest cost of bcrypt.
    pub const MIN: Cost = Cost(4);
    /// The highest cost that is accepted: such a hash takes some seconds, and a higher one would block a server.
    pub const MAX: Cost = Cost(15);

    /// The default cost of new hashes: about a quarter of a second on one core.
    pub const DEFAULT: Cost = Cost(12);
    /// The lowest cost that is accepted for real accounts.
    pub const MIN_REAL: Cost = Cost(10);

    /// Checks a cost.
    ///
    /// # Errors
    /// [`Error::BadCost`] outside 4 to 15.
    pub fn new(cost: u8) -> Result<Self, Error> {
        if (Self::MIN.0..=Self::MAX.0).contains(&cost) {
            Ok(Self(cost))
        } else {
            Err(Error::BadCost)
        }
    }

    /// The exponent, 4 to 15.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The number of key expansion rounds: 2^cost.
    pub fn rounds(self) -> u64 {
        1 << self.0
    }
}

impl FromStr for Cost {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text.parse().map_err(|_| Error::BadCost)?)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A valid bcrypt hash. The digest is a secret of its user, so there is no `Debug` and no `==`.
#[derive(Clone)]
pub struct PasswordHash {
    text: String,
    cost: Cost,
    salt: [u8; 16],
    digest: [u8; 23],
}

impl PasswordHash {
    /// Writes the parts in the `$2b$` form.
    pub(super) fn from_parts(cost: Cost, salt: [u8; 16], digest: [u8; 23]) -> Self {
        let text = format!(
            "$2b${:02}${}{}",
            cost.0,
            BASE_64.encode(salt),
            BASE_64.encode(digest)
        );
        Self {
            text,
            cost,
            salt,
            digest,
        }
    }

    /// The 60 characters as they were given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The cost of verifying a password against it.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    pub(super) fn salt(&self) -> [u8; 16] {
        self.salt
    }

    pub(super) fn digest(&self) -> &[u8; 23] {
        &self.digest
    }
}

/// Used in files of accounts.
impl serde::Serialize for PasswordHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl FromStr for PasswordHash {
    type Err = Error;

    /// `$2a$`, `$2b$` and `$2y$` are one algorithm for passwords without a NUL; `$2x$` is a broken one.
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| reason(text, |part| parse(part).is_some()))
    }
}

fn parse(text: &str) -> Option<PasswordHash> {
    let rest = ["$2a$", "$2b$", "$2y$"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .filter(|rest| rest.is_ascii() && rest.len() == 56)?;
    let (cost, rest) = rest.split_at(2);
    let (salt, digest) = rest.strip_prefix('$')?.split_at(22);
    if !cost.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(PasswordHash {
        text: text.to_owned(),
        cost: cost.parse().ok()?,
        salt: decode(&SALT, salt)?,
        digest: decode(&BASE_64, digest)?,
    })
}

fn decode<const N: usize>(base_64: &GeneralPurpose, text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    (base_64.decode_slice(text, &mut bytes).ok()? == N).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2b$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie";

    #[test]
    fn a_hash_is_parsed_and_keeps_its_text() {
        let hash: PasswordHash = HASH.parse().unwrap();
        assert_eq!(hash.cost().get(), 4);
        assert_eq!(hash.as_str(), HASH);
        let rebuilt = PasswordHash::from_parts(hash.cost(), hash.salt(), *hash.digest());
        assert_eq!(rebuilt.as_str(), HASH);
    }

    /// Padding bits are the bits of the salt's last character that are not part of the salt.
    #[test]
    fn padding_bits_of_the_salt_are_kept_in_the_text_and_ignored() {
        let (start, rest) = (&HASH[..28], &HASH[29..]);
        let plain: PasswordHash = HASH.parse().unwrap();
        // All characters that start with the same two bits.
        for last in "OPQRSTUVWXYZabcd".chars() {
            let text = format!("{start}{last}{rest}");
            let hash: PasswordHash = text.parse().unwrap();
            assert_eq!(hash.as_str(), text);
            assert_eq!(hash.salt(), plain.salt(), "{last}");
            assert_eq!(hash.digest(), plain.digest(), "{last}");
        }
        let other: PasswordHash = format!("{start}e{rest}").parse().unwrap();
        assert_ne!(other.salt(), plain.salt());
    }

    /// crypt(3) never produces such a digest, so no password would match.
    #[test]
    fn padding_bits_of_the_digest_are_refused() {
        for last in ['f', 'g', 'h'] {
            let text = format!("{}{last}", &HASH[..59]);
            assert!(text.parse::<PasswordHash>().is_err(), "{last}");
        }
    }

    #[test]
    fn other_formats_and_costs_are_refused() {
        for (label, bad) in [
            ("empty", String::new()),
            ("2x", HASH.replace("2b", "2x")),
            ("cost 3", HASH.replace("$04$", "$03$")),
            ("cost 16", HASH.replace("$04$", "$16$")),
            ("signed cost", HASH.replace("$04$", "$+4$")),
            ("short", HASH[..59].to_owned()),
            ("long", format!("{HASH}.")),
            ("not base 64", HASH.replace('E', "!")),
            ("not ASCII", HASH.replacen("dr", "é", 1)),
        ] {
            assert!(bad.parse::<PasswordHash>().is_err(), "{label}");
        }
    }
}
