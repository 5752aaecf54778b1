//! An interrupted password prompt: afterwards the terminal shows again what is typed.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use rexpect::session::{PtySession, spawn_command};
use rustix::fs::{Mode, OFlags};
use rustix::termios::{Action, LocalModes, tcflow, tcgetattr};

use super::run;
use crate::harness::process::PROGRAM;
use crate::harness::{DEADLINE, Place, eventually};

const GOOD: &str = "violet kettle ninety";
const PASSWD: [&str; 3] = ["user", "passwd", "jane@acme.com"];
const QUESTION: &str = "Password for jane@acme.com: ";
const READY: &str = "ready> ";

fn with_jane() -> Place {
    let place = Place::new();
    run(&place, &["init"]);
    run(&place, &["org", "add", "Acme", "--type", "RETAILER"]);
    let add = ["user", "add", "jane@acme.com", "--org", "Acme"];
    run(&place, &[&add[..], &["--generate"]].concat());
    place
}

/// A shell at a terminal that shows what is typed, which `rexpect` turns off at first.
fn shell(place: &Place, name: &str, args: &[&str]) -> PtySession {
    let mut command = Command::new(name);
    command
        .args(args)
        .current_dir(place.path(""))
        .envs(place.variable())
        .env("PS1", READY)
        .env("THANOS_LOGIN_BCRYPT_COST", "10");
    spawn_command(command, Some(DEADLINE.as_millis().try_into().unwrap())).unwrap()
}

/// A shell that runs each command as a job and does not reset the terminal after it. Signals that were ignored where the
/// tests were started, as by `nohup`, have an effect in it.
fn interactive_shell(place: &Place) -> PtySession {
    interactive(shell(place, "env", &["--default-signal", "sh", "-i"]))
}

fn interactive(mut shell: PtySession) -> PtySession {
    shell.exp_string(READY).unwrap();
    shell.send_line("stty echo").unwrap();
    shell.exp_string(READY).unwrap();
    assert!(shows_what_is_typed(&shell));
    shell
}

/// Ends a shell by `exit`: it ignores the signal that the session would send.
fn end(mut shell: PtySession) {
    shell.send_line("exit").unwrap();
    shell.exp_eof().unwrap();
}

/// `user passwd` at a terminal without a shell, which could reset the terminal afterwards.
fn passwd(place: &Place) -> PtySession {
    let command = format!("stty echo; exec {PROGRAM} {}", PASSWD.join(" "));
    shell(place, "sh", &["-c", &command])
}

fn shows_what_is_typed(terminal: &PtySession) -> bool {
    let modes = tcgetattr(terminal.process().get_file_handle().unwrap()).unwrap();
    modes.local_modes.contains(LocalModes::ECHO)
}

#[track_caller]
fn asks(terminal: &mut PtySession) {
    terminal.exp_string(QUESTION).unwrap();
    assert!(!shows_what_is_typed(terminal));
}

#[test]
fn a_signal_at_a_password_prompt_ends_the_program_and_leaves_the_terminal_as_it_was() {
    let place = with_jane();
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
    ] {
        let mut terminal = passwd(&place);
        asks(&mut terminal);
        terminal.process_mut().signal(signal).unwrap();
        let ended = terminal.process().wait().unwrap();
        assert!(
            matches!(ended, WaitStatus::Signaled(_, by, _) if by == signal),
            "{ended:?}"
        );
        assert!(shows_what_is_typed(&terminal), "{signal}");
    }
}

#[test]
fn the_keys_that_interrupt_work_at_each_password_prompt() {
    let place = with_jane();
    let mut shell = interactive_shell(&place);
    let command = format!("{PROGRAM} {}", PASSWD.join(" "));
    for key in ['c', '\\'] {
        shell.send_line(&command).unwrap();
        asks(&mut shell);
        shell.send("typed before").unwrap();
        shell.send_control(key).unwrap();
        let seen = shell.exp_string(READY).unwrap();
        assert!(!seen.contains("typed"), "{seen:?}");
        assert!(shows_what_is_typed(&shell), "{key}");

        shell.send_line(&command).unwrap();
        asks(&mut shell);
        shell.send_line(GOOD).unwrap();
        shell.exp_string("Repeat the password: ").unwrap();
        shell.send_control(key).unwrap();
        shell.exp_string(READY).unwrap();
        assert!(shows_what_is_typed(&shell), "{key}");
    }
    end(shell);
}

#[test]
fn a_stopped_password_prompt_leaves_the_terminal_as_it_was_and_asks_again_when_it_is_continued() {
    let place = with_jane();
    let mut shell = interactive_shell(&place);
    shell
        .send_line(&format!("{PROGRAM} {}", PASSWD.join(" ")))
        .unwrap();
    asks(&mut shell);
    for _ in 0..2 {
        shell.send("typed before").unwrap();
        shell.send_control('z').unwrap();
        shell.exp_string(READY).unwrap();
        assert!(shows_what_is_typed(&shell));
        shell.send_line("fg").unwrap();
        asks(&mut shell);
    }
    shell.send_line(GOOD).unwrap();
    let mut seen = shell.exp_string("Repeat the password: ").unwrap();
    shell.send_line(GOOD).unwrap();
    seen += &shell.exp_string(READY).unwrap();
    assert!(
        !seen.contains("typed") && !seen.contains("violet"),
        "{seen:?}"
    );
    assert!(shows_what_is_typed(&shell));
    end(shell);
    assert_eq!(place.serve(&[]).login("jane@acme.com", GOOD).status, 200);
}

/// Bash sends no signal to a job that it moves from the background to the foreground while it runs.
#[test]
fn a_prompt_that_bash_continues_in_the_background_first_asks_again_in_the_foreground() {
    if Command::new("bash").arg("--version").output().is_err() {
        return;
    }
    let place = with_jane();
    let args = ["--norc", "--noediting", "-i"];
    let mut bash = interactive(shell(&place, "bash", &args));
    bash.send_line(&format!("{PROGRAM} {}", PASSWD.join(" ")))
        .unwrap();
    asks(&mut bash);
    bash.send_control('z').unwrap();
    bash.exp_string(READY).unwrap();
    // The job has handled the signal of `bg` once all of its threads wait.
    let is_busy = "grep -L 'State:.S' /proc/$(jobs -p)/task/*/status | grep -q .";
    bash.send_line(&format!("bg; while {is_busy}; do :; done; fg"))
        .unwrap();
    asks(&mut bash);
    bash.send_line(GOOD).unwrap();
    let mut seen = bash.exp_string("Repeat the password: ").unwrap();
    bash.send_line(GOOD).unwrap();
    seen += &bash.exp_string(READY).unwrap();
    assert!(!seen.contains("violet"), "{seen:?}");
    assert!(shows_what_is_typed(&bash));
    end(bash);
    assert_eq!(place.serve(&[]).login("jane@acme.com", GOOD).status, 200);
}

#[test]
fn a_stopped_prompt_whose_terminal_had_no_echo_before_asks_again_too() {
    let place = with_jane();
    let mut shell = interactive_shell(&place);
    shell.send_line("stty -echo").unwrap();
    shell.exp_string(READY).unwrap();
    shell
        .send_line(&format!("{PROGRAM} {}", PASSWD.join(" ")))
        .unwrap();
    asks(&mut shell);
    shell.send_control('z').unwrap();
    shell.exp_string(READY).unwrap();
    shell.send_line("stty -icanon; fg").unwrap();
    asks(&mut shell);
    shell.send("mistyped").unwrap();
    shell.send_control('u').unwrap();
    shell.send_line(GOOD).unwrap();
    shell.exp_string("Repeat the password: ").unwrap();
    shell.send_line(GOOD).unwrap();
    shell.exp_string(READY).unwrap();
    assert!(!shows_what_is_typed(&shell));
    end(shell);
    assert_eq!(place.serve(&[]).login("jane@acme.com", GOOD).status, 200);
}

#[test]
fn an_interrupted_program_ends_after_its_prompts_too() {
    let place = with_jane();
    // Another writer holds the database: the command waits for it after its prompts.
    let _other = place.lock();
    let mut terminal = passwd(&place);
    asks(&mut terminal);
    terminal.send_line(GOOD).unwrap();
    terminal.exp_string("Repeat the password: ").unwrap();
    terminal.send_line(GOOD).unwrap();
    eventually("the questions are over", || shows_what_is_typed(&terminal));
    terminal.process_mut().signal(Signal::SIGTERM).unwrap();
    let ended = terminal.process().wait().unwrap();
    assert!(
        matches!(ended, WaitStatus::Signaled(_, Signal::SIGTERM, _)),
        "{ended:?}"
    );
}

/// Starts `user passwd` as a background job, and waits until it has stopped.
fn passwd_in_the_background(shell: &mut PtySession) {
    let command = format!("{PROGRAM} {} & echo pid=$!.", PASSWD.join(" "));
    shell.send_line(&command).unwrap();
    let (_, pid) = shell.exp_regex(r"pid=\d+\.").unwrap();
    let pid = pid.trim_matches(|char: char| !char.is_ascii_digit());
    let stat = format!("/proc/{pid}/stat");
    eventually("the job has stopped", || {
        fs::read_to_string(&stat).unwrap().contains(") T ")
    });
    shell.exp_string(READY).unwrap();
}

/// While a shell edits a line, it sets other modes, which a job in the background must not take for the usual ones.
#[test]
fn a_prompt_that_starts_in_the_background_asks_in_the_foreground_with_the_modes_of_then() {
    let place = with_jane();
    let mut shell = interactive_shell(&place);
    shell.send_line("stty -echo").unwrap();
    shell.exp_string(READY).unwrap();
    passwd_in_the_background(&mut shell);
    shell.send_line("stty echo").unwrap();
    shell.exp_string(READY).unwrap();
    shell.send_line("fg").unwrap();
    asks(&mut shell);
    shell.send_line(GOOD).unwrap();
    shell.exp_string("Repeat the password: ").unwrap();
    shell.send_line(GOOD).unwrap();
    shell.exp_string(READY).unwrap();
    assert!(shows_what_is_typed(&shell));
    end(shell);
}

#[test]
fn a_stopped_prompt_can_be_ended() {
    let place = with_jane();
    let mut shell = interactive_shell(&place);
    for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        for is_asked in [true, false] {
            if is_asked {
                let command = format!("{PROGRAM} {}", PASSWD.join(" "));
                shell.send_line(&command).unwrap();
                asks(&mut shell);
                shell.send_control('z').unwrap();
                shell.exp_string(READY).unwrap();
            } else {
                passwd_in_the_background(&mut shell);
            }
            // `bg` continues the job, which may stop once more before it handles the signal: 149 and 150.
            let command = format!(
                "kill -{signal} %1; s=150; while [ $s = 149 -o $s = 150 ]; do bg %1; wait %1; s=$?; done; echo status=$s."
            );
            shell.send_line(&command).unwrap();
            let ended = format!("status={status}.");
            shell.exp_string(&ended).unwrap();
            shell.exp_string(READY).unwrap();
            assert!(shows_what_is_typed(&shell), "{signal}");
        }
    }
    end(shell);
}

/// As after Ctrl-S.
#[test]
fn a_signal_ends_a_prompt_whose_terminal_is_stopped() {
    let place = with_jane();
    let command = format!("stty echo; tty; exec {PROGRAM} {}", PASSWD.join(" "));
    let mut terminal = shell(&place, "sh", &["-c", &command]);
    let (_, name) = terminal.exp_regex(r"/dev/\S+").unwrap();
    asks(&mut terminal);
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let other = rustix::fs::open(name, flags, Mode::empty()).unwrap();
    tcflow(&other, Action::OOff).unwrap();
    terminal.process_mut().signal(Signal::SIGTERM).unwrap();
    let ended = terminal.process().wait().unwrap();
    assert!(
        matches!(ended, WaitStatus::Signaled(_, Signal::SIGTERM, _)),
        "{ended:?}"
    );
    assert!(shows_what_is_typed(&terminal));
}

/// Without a shell nobody could continue the program.
#[test]
fn a_prompt_without_a_shell_is_not_stopped_and_asks_again() {
    let place = with_jane();
    let mut terminal = passwd(&place);
    asks(&mut terminal);
    terminal.send_control('z').unwrap();
    asks(&mut terminal);
    terminal.send_line(GOOD).unwrap();
    terminal.exp_string("Repeat the password: ").unwrap();
    terminal.send_line(GOOD).unwrap();
    let ended = terminal.process().wait().unwrap();
    assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
}
