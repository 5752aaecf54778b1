//! Binds the addresses that a gate listens on.
//!
//! A socket file has its permissions from the moment it exists. A stale socket file is replaced; one on which a server
//! answers belongs to another server and is an error. One that is removed while it is in use is created again. Dropping a
//! listener removes its own socket file and no other.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, sockopt};

use super::address::{Address, Bound, SocketMode};
use super::socket::Socket;
use crate::files::{check_directory, directory_of};
use crate::gate::deadline::Deadline;

/// Maximum length of the listen queue. The system lowers it to its own limit.
const BACKLOG: i32 = 4096;

/// How long to wait for another server to finish binding in the same directory, which takes less than a millisecond.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot listen")]
    Io(#[from] io::Error),
    #[error("another server answers there")]
    InUse,
    #[error("the file exists and is not a socket")]
    NotASocket,
}

#[derive(Debug)]
pub(crate) struct Listener {
    socket: BoundSocket,
    pub(crate) bound: Bound,
}

#[derive(Debug)]
enum BoundSocket {
    Tcp(TcpListener),
    Unix {
        /// Declared before the listener, so that the file is removed first: once nobody listens, another server may take
        /// the name.
        file: SocketFile,
        listener: UnixListener,
        mode: SocketMode,
    },
}

impl Listener {
    /// Binds one address; `all` are all addresses of the gate, and `tls` says whether its TCP connections use TLS.
    pub(crate) fn bind(
        address: &Address,
        all: &[Address],
        tls: bool,
        mode: SocketMode,
    ) -> Result<Self, Error> {
        match address {
            Address::Tcp(address) => {
                let listener = if leaves_ipv4(address, all) {
                    bind_ipv6_only(address)?
                } else {
                    TcpListener::bind(address)?
                };
                // The second call sets a longer queue than the standard library does.
                rustix::net::listen(&listener, BACKLOG).map_err(io::Error::from)?;
                listener.set_nonblocking(true)?;
                let address = Address::Tcp(listener.local_addr()?);
                Ok(Self {
                    socket: BoundSocket::Tcp(listener),
                    bound: Bound { address, tls },
                })
            }
            Address::Unix(path) => {
                let socket = bind_file(path, mode)?;
                let address = Address::Unix(path.clone());
                Ok(Self {
                    socket,
                    bound: Bound {
                        address,
                        tls: false,
                    },
                })
            }
        }
    }

    /// Accepts a waiting connection, or returns `WouldBlock`. The address is the peer's, never IPv4-mapped; `None` over a
    /// socket file.
    pub(crate) fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        match &self.socket {
            BoundSocket::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                Ok((Socket::Tcp(stream), Some(peer.ip().to_canonical())))
            }
            BoundSocket::Unix { listener, .. } => {
                let (stream, _) = listener.accept()?;
                Ok((Socket::Unix(stream), None))
            }
        }
    }
}

impl Listener {
    /// Whether it has a socket file, which other processes may remove.
    pub(crate) fn has_file(&self) -> bool {
        matches!(self.socket, BoundSocket::Unix { .. })
    }

    /// Creates its socket file again if it was removed, and logs that. Logs once if that is not possible, or if the file was
    /// replaced. Call this while no client waits to be accepted, since a new file has a new listen queue.
    pub(crate) fn check_file(&mut self) {
        let BoundSocket::Unix { file, mode, .. } = &mut self.socket else {
            return;
        };
        let path = file.path.display();
        match identity(&file.path) {
            Ok(there) if there == file.device_and_inode => file.is_reported = false,
            Ok(_) if !file.is_reported => {
                tracing::error!(
                    %path,
                    "the socket file was replaced: no client can connect to it until the other file is removed"
                );
                file.is_reported = true;
            }
            Ok(_) => {}
            Err(_) => match bind_missing_file(&file.path, *mode) {
                Ok(socket) => {
                    tracing::warn!(%path, "the socket file was removed, and was created again");
                    self.socket = socket;
                }
                Err(error) if !file.is_reported => {
                    tracing::error!(
                        %path, %error,
                        "the socket file was removed: no client can connect to it until it can be created again"
                    );
                    file.is_reported = true;
                }
                Err(_) => {}
            },
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            BoundSocket::Tcp(listener) => listener.as_fd(),
            BoundSocket::Unix { listener, .. } => listener.as_fd(),
        }
    }
}

/// Whether an IPv6 address must leave IPv4 clients to another listener on the same port: `[::]` alone accepts them as well,
/// and the system binds a port only once for each address family.
fn leaves_ipv4(address: &SocketAddr, all: &[Address]) -> bool {
    let is_ipv4 = |address: &SocketAddr| address.ip().to_canonical().is_ipv4();
    !is_ipv4(address)
        && address.port() != 0
        && all.iter().any(|other| match other {
            Address::Tcp(other) => other.port() == address.port() && is_ipv4(other),
            Address::Unix(_) => false,
        })
}

/// Binds as the standard library does, but sets `IPV6_V6ONLY` first.
fn bind_ipv6_only(address: &SocketAddr) -> io::Result<TcpListener> {
    let socket = rustix::net::socket(AddressFamily::INET6, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_ipv6_v6only(&socket, true)?;
    rustix::net::bind(&socket, address)?;
    Ok(TcpListener::from(socket))
}

/// Binds a socket file. Between `bind` and `listen` a socket file looks stale to other servers, so only one server at a
/// time does this in a directory.
fn bind_file(path: &Path, mode: SocketMode) -> Result<BoundSocket, Error> {
    let _lock = lock_directory(path, LOCK_TIMEOUT)?;
    make_way(path)?;
    Ok(listen_at(path, mode)?)
}

/// Does the same without waiting, for a file that does not exist.
fn bind_missing_file(path: &Path, mode: SocketMode) -> io::Result<BoundSocket> {
    let _lock = lock_directory(path, Duration::ZERO)?;
    listen_at(path, mode)
}

fn listen_at(path: &Path, mode: SocketMode) -> io::Result<BoundSocket> {
    let listener = bind_with(path, mode)?;
    let file = SocketFile::at(path)?;
    listener.set_nonblocking(true)?;
    Ok(BoundSocket::Unix {
        file,
        listener,
        mode,
    })
}

/// Locks the directory of a socket file; `None` if the directory cannot be read or its file system has no locks.
fn lock_directory(path: &Path, timeout: Duration) -> io::Result<Option<File>> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let Ok(directory) = File::open(parent.unwrap_or(Path::new("."))) else {
        return Ok(None);
    };
    let deadline = Deadline::after(timeout);
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(directory)),
            Err(Errno::WOULDBLOCK) if deadline.remaining().is_ok() => thread::sleep(LOCK_PAUSE),
            Err(Errno::WOULDBLOCK) => {
                return Err(io::Error::other(
                    "another process holds the lock on its directory",
                ));
            }
            Err(_) => return Ok(None),
        }
    }
}

/// Checks whether a socket file could be created. One on which a server answers now is not an error.
pub(crate) fn check_file(path: &Path) -> Result<(), Error> {
    SocketAddrUnix::new(path).map_err(io::Error::from)?;
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => Err(Error::NotASocket),
        _ => Ok(check_directory(directory_of(path))?),
    }
}

/// Removes a stale socket file, on which no server answers.
fn make_way(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(Error::NotASocket),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Error::InUse),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(Error::from)
        }
        Err(error) => Err(error.into()),
    }
}

/// Binds a socket file with these permissions. They are set on the socket before the file exists, so that there is no
/// moment in which others can connect; changing the umask would affect the whole process.
fn bind_with(path: &Path, mode: SocketMode) -> io::Result<UnixListener> {
    let mode = Mode::from_raw_mode(mode.bits());
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::fs::fchmod(&socket, mode)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    // For systems that ignore the mode of the socket itself.
    rustix::fs::chmod(path, mode)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

/// The socket file of a listener. Removed on drop, unless it was replaced by another file.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
    /// Whether it was logged that no client can connect.
    is_reported: bool,
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            device_and_inode: identity(path)?,
            is_reported: false,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|there| there == self.device_and_inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Barrier;

    fn unix(path: &Path) -> Result<Listener, Error> {
        let address = Address::Unix(path.to_owned());
        Listener::bind(&address, &[], true, SocketMode::default())
    }

    #[test]
    fn a_socket_file_is_private_and_is_removed_with_its_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("login.sock");
        let listener = unix(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            listener.bound.to_string(),
            format!("unix:{}", path.display())
        );
        assert!(matches!(unix(&path), Err(Error::InUse)));
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_file_is_replaced_and_other_files_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("login.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "as after a kill");
        let first = unix(&path).unwrap();
        // Another file at the same path is not removed.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "not a socket").unwrap();
        drop(first);
        assert!(path.exists());
        assert!(matches!(unix(&path), Err(Error::NotASocket)));
    }

    #[test]
    fn of_many_servers_that_start_at_once_on_a_stale_socket_file_one_binds_it() {
        const STARTS: usize = 8;
        let directory = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let path = directory.path().join(format!("{round}.sock"));
            drop(UnixListener::bind(&path).unwrap());
            let barrier = Barrier::new(STARTS);
            let start = || {
                barrier.wait();
                unix(&path)
            };
            let started: Vec<_> = thread::scope(|scope| {
                let starts: Vec<_> = (0..STARTS).map(|_| scope.spawn(start)).collect();
                let join = |start: thread::ScopedJoinHandle<'_, _>| start.join().unwrap();
                starts.into_iter().map(join).collect()
            });
            let in_use = |start: &&Result<_, _>| matches!(start, Err(Error::InUse));
            assert_eq!(started.iter().filter(in_use).count(), STARTS - 1);
            let listener = started.into_iter().find_map(Result::ok).unwrap();
            let _client = UnixStream::connect(&path).unwrap();
            listener.accept().unwrap();
        }
    }

    #[test]
    fn port_0_binds_a_free_port() {
        let listener = Listener::bind(
            &"[::1]:0".parse().unwrap(),
            &[],
            true,
            SocketMode::default(),
        )
        .unwrap();
        let Address::Tcp(address) = listener.bound.address else {
            panic!("bound to TCP");
        };
        assert_ne!(address.port(), 0);
        assert!(TcpStream::connect(address).is_ok());
    }
}
