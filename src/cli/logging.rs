//! Events on standard error, for people or for programs.
//!
//! Values that come from a client are logged as quoted text: both formats escape what could steer a terminal.

use std::io::{self, IsTerminal};

use clap::ArgMatches;
use clap::parser::ValueSource;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use super::wrong_usage;

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// How events are written to standard error
    #[arg(long, value_name = "FORMAT", env = "THANOS_LOGIN_LOG_FORMAT", value_enum, default_value_t = Format::Text)]
    log_format: Format,
    /// The least serious events that are written: error, warn, info, debug, trace or off; RUST_LOG says it by module
    #[arg(
        long,
        value_name = "LEVEL",
        env = "THANOS_LOGIN_LOG_LEVEL",
        default_value = "info"
    )]
    log_level: LevelFilter,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// Events below `warn` are held back until [`Logging::begin`]: a start that fails is one line.
pub(super) struct Logging {
    format: Format,
    filter: reload::Handle<EnvFilter, Registry>,
    wanted: EnvFilter,
}

/// Takes the flag before `RUST_LOG`, and that before the flag's variable and default.
pub(super) fn start(args: &Args, matches: &ArgMatches) -> Logging {
    let is_flag = matches.value_source("log_level") == Some(ValueSource::CommandLine);
    let by_module = std::env::var("RUST_LOG")
        .ok()
        .filter(|value| !value.is_empty() && !is_flag);
    let wanted = match by_module {
        Some(directives) => EnvFilter::try_new(&directives)
            .unwrap_or_else(|error| wrong_usage(format!("RUST_LOG={directives:?}: {error}"))),
        None => at(args.log_level),
    };
    let quiet = at(LevelFilter::WARN);
    let (quiet, filter) = reload::Layer::new(quiet);
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match args.log_format {
        Format::Text => layer.with_ansi(wants_colour()).boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    // Fails only when there is a logger already, and nobody else in this process starts one.
    let _ = tracing_subscriber::registry()
        .with(quiet)
        .with(layer)
        .try_init();
    log_panics();
    Logging {
        format: args.log_format,
        filter,
        wanted,
    }
}

/// tiny_http's one event is an accept that failed, as it does on purpose when a server ends whose socket lost its name.
/// Those that matter are logged where they are noticed.
fn at(level: LevelFilter) -> EnvFilter {
    let no_tiny_http = "tiny_http=off".parse().expect("it is a directive");
    EnvFilter::default()
        .add_directive(level.into())
        .add_directive(no_tiny_http)
}

impl Logging {
    /// Whoever reads JSON lines gets the reason of a failed start as one, too; a person gets it plainly.
    pub(super) fn tell_failure(&self, error: anyhow::Error) -> anyhow::Error {
        if self.format == Format::Text {
            return error;
        }
        for line in super::failure_lines(&error) {
            tracing::error!("{line}");
        }
        super::Logged.into()
    }

    /// The server is ready: log what was asked for.
    pub(super) fn begin(self) {
        // Fails only when the logger is gone.
        let _ = self.filter.reload(self.wanted);
    }
}

fn wants_colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The place, and not the message, in which a value could stand.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let thread = std::thread::current().name().map(str::to_owned);
        tracing::error!(place, thread, "a defect: the thread panicked");
    }));
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::panic;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_one_line_with_its_place_and_without_its_message() {
        let log = Log::default();
        let writer = log.clone();
        let logger = tracing_subscriber::registry().with(
            fmt::layer()
                .with_ansi(false)
                .with_writer(move || writer.clone()),
        );
        let usual = panic::take_hook();
        let line = tracing::subscriber::with_default(logger, || {
            log_panics();
            let result = panic::catch_unwind(|| panic!("thanosrocks"));
            assert!(result.is_err());
            line!() - 2
        });
        panic::set_hook(usual);
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let place = format!("place=\"{}:{line}:", file!());
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(&place), "{place}: {text}");
        assert!(!text.contains("thanosrocks"), "{text}");
    }
}
