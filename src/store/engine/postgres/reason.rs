//! Why a server cannot be used, in plain words and with what to do about it.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::CertificateError;
use tokio_postgres::error::{DbError, SqlState};

const GIVE_PASSWORD: &str =
    "the URL, the variable PGPASSWORD or a line of the file that PGPASSFILE names gives it";

/// Of a socket that carries no more, or none.
pub(super) fn of_socket(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            "the connection was refused: no server listens there".to_owned()
        }
        ErrorKind::NotFound => {
            "there is no such socket: the server does not run, or has another directory or port"
                .to_owned()
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            "the server gave no answer in time".to_owned()
        }
        ErrorKind::NotConnected => "the server is not reached".to_owned(),
        _ => error.to_string(),
    }
}

/// Of a statement, or of connecting.
pub(super) fn of_error(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => of_server(error),
        None => of_connection(error),
    }
}

/// Without the details that a server adds, since they quote rows.
fn of_server(error: &DbError) -> String {
    let message = error.message();
    let step = match *error.code() {
        SqlState::INVALID_PASSWORD => GIVE_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "the server's pg_hba.conf says who may connect, from where and how"
        }
        SqlState::INVALID_CATALOG_NAME => "`createdb` makes one",
        SqlState::TOO_MANY_CONNECTIONS => "raise the server's max_connections, or let go of others",
        _ => return format!("{message} ({})", error.code().code()),
    };
    format!("{message}; {step}")
}

fn of_connection(error: &tokio_postgres::Error) -> String {
    if error.is_closed() {
        return "the server ended the connection".to_owned();
    }
    let Some(source) = error.source() else {
        return error.to_string();
    };
    if let Some(error) = source.downcast_ref::<io::Error>() {
        return match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => of_tls(error),
            None => of_socket(error),
        };
    }
    // The library's own, which have no type.
    match source.to_string().as_str() {
        "password missing" => format!("the server asks for a password: {GIVE_PASSWORD}"),
        "server does not support TLS" => {
            "the server has no TLS; with sslmode=disable in the URL all is sent in clear".to_owned()
        }
        other => format!("{error}: {other}"),
    }
}

fn of_tls(error: &rustls::Error) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        NotValidYet, NotValidYetContext, UnknownIssuer,
    };

    let rustls::Error::InvalidCertificate(error) = error else {
        return format!("TLS: {error}");
    };
    match error {
        // The second where two authorities have one name.
        UnknownIssuer | BadSignature => "the server's certificate is of no authority that is trusted; --db-ca names the right one's".to_owned(),
        NotValidForName | NotValidForNameContext { .. } => {
            "the server's certificate is for another host than the URL names; give a name that is in it, or sslmode=verify-ca".to_owned()
        }
        Expired | ExpiredContext { .. } => "the server's certificate has expired".to_owned(),
        NotValidYet | NotValidYetContext { .. } => "the server's certificate is not valid yet".to_owned(),
        other => format!("the server's certificate cannot be verified: {other}"),
    }
}
