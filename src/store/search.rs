//! Rows with a text somewhere in a column, whatever the case of ASCII letters.

/// Whether a column, or another expression that is text of this program, contains `:search`, which is [`lower_case`]. `LIKE`
/// would take some of its characters for a pattern.
pub(super) fn contains(column: &str) -> String {
    format!("replace(lower({column}), :search, '') <> lower({column})")
}

/// `None` for the empty text, which every text contains, though replacing it changes none.
pub(super) fn lower_case(search: Option<&str>) -> Option<String> {
    let search = search.filter(|search| !search.is_empty());
    search.map(str::to_ascii_lowercase)
}
