//! Converting named parameters to the numbered ones of PostgreSQL.

/// Replaces the named parameters of a statement by `$1`, `$2` and so on. Returns the statement and the names in this
/// order. Quoted text and casts are left unchanged.
pub(super) fn numbered(sql: &str) -> (String, Vec<String>) {
    let (mut text, mut names) = (String::with_capacity(sql.len()), Vec::new());
    let mut rest = sql;
    while let Some(at) = rest.find([':', '\'']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match name_bytes(rest) {
            _ if rest.starts_with('\'') => quoted_bytes(rest),
            // This is a cast or a single colon.
            0 => 1 + usize::from(rest.starts_with("::")),
            bytes => {
                let number = number_of(&rest[..=bytes], &mut names);
                text.push_str(&format!("${number}"));
                rest = &rest[bytes + 1..];
                continue;
            }
        };
        text.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    text.push_str(rest);
    (text, names)
}

/// The length of the name after a colon.
fn name_bytes(text: &str) -> usize {
    let name = text.get(1..).unwrap_or_default();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    name.bytes().take_while(|byte| is_part(byte)).count()
}

/// The length of a quoted text, including both quotes.
fn quoted_bytes(text: &str) -> usize {
    text[1..].find('\'').map_or(text.len(), |end| end + 2)
}

fn number_of(name: &str, names: &mut Vec<String>) -> usize {
    let known = names.iter().position(|known| known == name);
    known.unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    }) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_numbers() {
        for (sql, expected, names) in [
            ("SELECT 1", "SELECT 1", &[][..]),
            (
                "a = :a AND b = :b_c OR c = :a",
                "a = $1 AND b = $2 OR c = $1",
                &[":a", ":b_c"],
            ),
            ("x = ':a' AND y = :a", "x = ':a' AND y = $1", &[":a"]),
            ("':a'':b' || :c::text", "':a'':b' || $1::text", &[":c"]),
            ("é = :é", "é = :é", &[]),
        ] {
            assert_eq!(
                numbered(sql),
                (
                    expected.to_owned(),
                    names.iter().map(|name| (*name).to_owned()).collect()
                )
            );
        }
    }
}
