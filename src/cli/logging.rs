//! Events on standard error.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

pub(super) fn start() {
    fmt()
        .with_max_level(LevelFilter::INFO)
        .with_writer(std::io::stderr)
        .init();
}
