//! SQL conditions for a substring search that ignores ASCII case.

/// The condition that an expression contains `:search`, which must come from [`lower_case`]. The expression is a
/// constant of this program, never input. `LIKE` is not used, because it would interpret some characters as wildcards.
pub(super) fn contains(column: &str) -> String {
    format!("replace(lower({column}), :search, '') <> lower({column})")
}

/// The search text in lower case. `None` for an empty text, for which the condition would be false although every text
/// contains it.
pub(super) fn lower_case(search: Option<&str>) -> Option<String> {
    let search = search.filter(|search| !search.is_empty());
    search.map(str::to_ascii_lowercase)
}
