//! The log on standard error, as text or JSON.
//!
//! Values from clients are logged as quoted text. Characters in an event that could control a terminal or mislead its
//! reader are escaped.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, Write};
use std::panic;

use clap::ArgMatches;
use clap::parser::ValueSource;
use jiff::Timestamp;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use super::environment::Variables;
use super::escape::{visible_json, visible_line};
use super::stream::{STDERR, were_dropped};
use super::{WrongUsage, failure_lines};

/// The variable with the level of each module; [`LEVEL`] is the level of all modules.
pub(super) const RUST_LOG: &str = "RUST_LOG";

/// The id of the flag of the level in clap.
pub(super) const LEVEL: &str = "log_level";

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Format of the log on standard error
    #[arg(long, value_name = "FORMAT", env = "THANOS_LOGIN_LOG_FORMAT", value_enum, ignore_case = true, default_value_t = Format::Text)]
    log_format: Format,
    /// Lowest level to log: error, warn, info, debug, trace or off; RUST_LOG sets levels per module
    #[arg(
        long,
        value_name = "LEVEL",
        env = "THANOS_LOGIN_LOG_LEVEL",
        value_parser = level,
        default_value = "info"
    )]
    log_level: LevelFilter,
}

const NO_FILTER: &str = "write a level, or MODULE=LEVEL with commas between them, such as warn,thanos_login::gate=debug; levels are error, warn, info, debug, trace and off";

fn level(text: &str) -> Result<LevelFilter, &'static str> {
    text.parse()
        .map_err(|_| "must be error, warn, info, debug, trace or off")
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One line of text per event
    Text,
    /// One JSON object per line
    Json,
}

/// The logger. It omits events below `warn` until [`Logging::enable`], so that a failed start logs one line.
pub(super) struct Logging {
    format: Format,
    filter: reload::Handle<EnvFilter, Registry>,
    wanted: EnvFilter,
}

/// The value of `RUST_LOG`, if it applies: the flag of the level takes precedence over it, and it takes precedence over
/// the flag's variable and default.
pub(super) fn by_module(matches: &ArgMatches) -> Option<OsString> {
    let is_flag = matches.value_source(LEVEL) == Some(ValueSource::CommandLine);
    std::env::var_os(RUST_LOG).filter(|value| !value.is_empty() && !is_flag)
}

pub(super) fn filter(args: &Args, matches: &ArgMatches) -> Result<EnvFilter, WrongUsage> {
    let Some(directives) = by_module(matches) else {
        return Ok(at(args.log_level));
    };
    let wrong =
        |reason: &dyn std::fmt::Display| WrongUsage(format!("{RUST_LOG}={directives:?}: {reason}"));
    let text = directives.to_str().ok_or_else(|| wrong(&"not UTF-8"))?;
    EnvFilter::try_new(text).map_err(|_| wrong(&NO_FILTER))
}

pub(super) fn start(args: &Args, matches: &ArgMatches) -> Result<Logging, WrongUsage> {
    let wanted = filter(args, matches)?;
    let wanted_level = wanted.max_level_hint().unwrap_or(LevelFilter::WARN);
    let quiet = at(wanted_level.min(LevelFilter::WARN));
    let (quiet, filter) = reload::Layer::new(quiet);
    let format = args.log_format;
    let layer = fmt::layer().with_writer(move || EventWriter(format));
    let layer = match format {
        Format::Text => layer.with_ansi(STDERR.wants_colour()).boxed(),
        Format::Json => {
            STDERR.describe_gaps_by(gap_as_json);
            layer.json().flatten_event(true).boxed()
        }
    };
    let subscriber = tracing_subscriber::registry().with(quiet).with(layer);
    // Fails only if a logger exists, and no other code in this process starts one. What libraries log with the crate
    // `log` is always left out: one of them logs the values of every statement, including hashes and tokens, and
    // relevant errors of the others are logged by their callers.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(Logging {
        format,
        filter,
        wanted,
    })
}

/// Writes each event with one write.
struct EventWriter(Format);

impl Write for EventWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = match self.0 {
            Format::Text => visible_line(line),
            Format::Json => visible_json(line),
        };
        match line {
            Cow::Borrowed(_) => STDERR.push(event),
            Cow::Owned(line) => STDERR.push(format!("{line}\n").as_bytes()),
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn at(level: LevelFilter) -> EnvFilter {
    EnvFilter::default().add_directive(level.into())
}

impl Logging {
    /// Whether the log is text for people, and not JSON for programs.
    pub(super) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Logs the error of a failed start if the format is JSON. As text, it is reported like the error of any command.
    pub(super) fn report_failure(
        &self,
        error: anyhow::Error,
        variables: &Variables,
    ) -> anyhow::Error {
        if self.format == Format::Text || error.is::<WrongUsage>() {
            return error;
        }
        for line in failure_lines(&error, variables) {
            tracing::error!("{line}");
        }
        super::Logged.into()
    }

    /// Starts to log with the configured levels, once the server is ready.
    pub(super) fn enable(&mut self) {
        // Fails only if the logger no longer exists.
        let _ = self.filter.reload(std::mem::take(&mut self.wanted));
    }
}

/// The event about dropped lines, with the same fields as every event.
fn gap_as_json(lines: u64) -> String {
    let event = serde_json::json!({
        "timestamp": Timestamp::now(),
        "level": "WARN",
        "message": were_dropped(lines),
        "lines": lines,
        "target": module_path!(),
    });
    format!("{event}\n")
}

/// Whether tiny_http panicked for lack of a thread or a descriptor, which it cannot report otherwise. Its server
/// notices the panic.
fn is_expected(panic: &panic::PanicHookInfo<'_>) -> bool {
    let has_no_thread = |text: &str| text.starts_with("failed to spawn thread");
    let is_inside = |place: &panic::Location<'_>| place.file().contains("/tiny_http-");
    panic.payload_as_str().is_some_and(has_no_thread) || panic.location().is_some_and(is_inside)
}

/// Reports panics with their location, but without their message, which could contain a secret. Before the logger
/// exists, the report is a line of text.
pub(super) fn report_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        if is_expected(panic) {
            return tracing::warn!(place, "tiny_http lacks a thread or a descriptor");
        }
        let thread = std::thread::current().name().map(str::to_owned);
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, thread, "a defect: the thread panicked");
        } else {
            let place = place.unwrap_or_default();
            let line = format!("thanos-login: a defect: a thread panicked at {place}\n");
            STDERR.push(line.as_bytes());
        }
    }));
}

#[cfg(test)]
mod tests {
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
            report_panics();
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
