//! Messages for operators: why a server cannot be used, and what to do about it.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::CertificateError;
use tokio_postgres::error::{DbError, SqlState};

const GIVE_PASSWORD: &str =
    "the URL, the variable PGPASSWORD or a line of the file that PGPASSFILE names gives it";

/// The message for an error of a socket.
pub(super) fn socket_message(error: &io::Error) -> String {
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
        ErrorKind::NotConnected => "the server cannot be reached".to_owned(),
        _ => error.to_string(),
    }
}

/// The message for an error of a statement or a connection.
pub(super) fn error_message(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => server_message(error),
        None => connection_message(error),
    }
}

/// The message for an error that the server reports. It omits the details, because they quote values of rows.
fn server_message(error: &DbError) -> String {
    let message = error.message();
    let step = match *error.code() {
        SqlState::INVALID_PASSWORD => GIVE_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "the server's pg_hba.conf says who may connect, from where and how"
        }
        SqlState::INVALID_CATALOG_NAME => "`createdb` creates it",
        SqlState::TOO_MANY_CONNECTIONS => {
            "raise the server's max_connections, or close other connections"
        }
        _ => return format!("{message} ({})", error.code().code()),
    };
    format!("{message}; {step}")
}

fn connection_message(error: &tokio_postgres::Error) -> String {
    if error.is_closed() {
        return "the server ended the connection".to_owned();
    }
    let Some(source) = error.source() else {
        return error.to_string();
    };
    if let Some(error) = source.downcast_ref::<io::Error>() {
        return match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(error) => tls_message(error),
            None => socket_message(error),
        };
    }
    // The library's own errors have no type, so their texts are compared.
    match source.to_string().as_str() {
        "password missing" => format!("the server asks for a password: {GIVE_PASSWORD}"),
        "server does not support TLS" => {
            "the server does not support TLS; sslmode=disable in the URL connects without encryption".to_owned()
        }
        other => format!("{error}: {other}"),
    }
}

fn tls_message(error: &rustls::Error) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        NotValidYet, NotValidYetContext, UnknownIssuer,
    };

    let rustls::Error::InvalidCertificate(error) = error else {
        return format!("TLS: {error}");
    };
    match error {
        // `BadSignature` occurs if two authorities have the same name.
        UnknownIssuer | BadSignature => "the server's certificate is not signed by a trusted authority; --db-ca names the file with the certificate of the right one".to_owned(),
        NotValidForName | NotValidForNameContext { .. } => {
            "the server's certificate is for another host than the URL names; use a name from the certificate, or sslmode=verify-ca".to_owned()
        }
        Expired | ExpiredContext { .. } => "the server's certificate has expired".to_owned(),
        NotValidYet | NotValidYetContext { .. } => "the server's certificate is not valid yet".to_owned(),
        other => format!("the server's certificate cannot be verified: {other}"),
    }
}
