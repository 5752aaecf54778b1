//! A connection to a server, with its prepared statements.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Row, Statement};

use super::error::Failure;
use super::named::numbered;
use super::socket::{Peer, open};
use super::tls::{Tls, TlsStream};
use super::wire::Socket;
use crate::store::engine::PAGE;
use crate::store::engine::statement_error::{Result, StatementError};
use crate::store::engine::value::{Columns, Parameters, Value};

/// The maximum number of prepared statements. The program has fewer, except that listings generate variants; if the
/// limit is reached, all are prepared again.
const MAX_STATEMENTS: usize = 256;

/// The number of parts of a transaction per savepoint. A savepoint takes two round trips, and more than 64
/// subtransactions in a transaction would slow down all other transactions.
const PARTS_AT_ONCE: u32 = 2_048;

/// The time limit for canceling a statement.
const CANCEL_TIME_LIMIT: Duration = Duration::from_millis(500);

/// One connection, for one thread at a time.
pub(in crate::store) struct Session {
    client: Client,
    /// `None` after the connection has ended. Dropping it ends all futures that wait for its replies.
    connection: RefCell<Option<Connection<Socket, TlsStream>>>,
    socket: Socket,
    peer: Peer,
    tls: Tls,
    statements: RefCell<HashMap<Box<str>, Arc<Prepared>>>,
    /// The deadline of the call in progress.
    deadline: Cell<Instant>,
    /// The time limit for each further page of a statement that returns very many rows.
    time_limit: Cell<Duration>,
    /// Whether a statement of the present transaction has failed, so that the server has aborted the transaction.
    is_failed: Cell<bool>,
    /// Whether the server has sent a warning.
    is_warned: Cell<bool>,
    /// Whether the connection can no longer be used.
    is_lost: Cell<bool>,
    is_in_transaction: Cell<bool>,
    /// The number of parts that the present transaction has run with [`Session::attempt`].
    parts: Cell<u32>,
    /// Whether the other connections to the same server cannot be used either.
    is_server_lost: Cell<bool>,
}

struct Prepared {
    statement: Statement,
    names: Vec<String>,
}

impl Session {
    /// Connects to a server and logs in.
    pub(super) fn start(peer: &Peer, config: &Config, tls: Tls, deadline: Instant) -> Result<Self> {
        let socket = open(peer, deadline).map_err(Failure::Unreachable)?;
        let starting = config.connect_raw(socket.clone(), tls.clone());
        let (client, connection) = socket
            .drive(starting, |_| {}, deadline)
            .map_err(Failure::Unreachable)?
            .map_err(Failure::Server)?;
        Ok(Self {
            client,
            connection: RefCell::new(Some(connection)),
            socket,
            peer: peer.clone(),
            tls,
            statements: RefCell::default(),
            deadline: Cell::new(deadline),
            time_limit: Cell::default(),
            is_failed: Cell::new(false),
            is_warned: Cell::new(false),
            is_lost: Cell::new(false),
            is_in_transaction: Cell::new(false),
            parts: Cell::default(),
            is_server_lost: Cell::new(false),
        })
    }

    pub(super) fn set_deadline(&self, deadline: Instant) {
        self.deadline.set(deadline);
    }

    /// Sets the deadline of a call to `time_limit` after `start`. Each further page of very many rows may take the same
    /// time.
    pub(super) fn set_time_limit(&self, start: Instant, time_limit: Duration) {
        self.time_limit.set(time_limit);
        self.deadline.set(start + time_limit);
    }

    /// Whether the connection can be used. Reads messages that have arrived, without waiting for more.
    pub(super) fn is_alive(&self) -> bool {
        self.poll_connection(&mut Context::from_waker(Waker::noop()));
        !self.is_lost.get()
    }

    /// Runs statements without parameters or rows.
    pub(in crate::store) fn batch(&self, sql: &str) -> Result<()> {
        self.run(self.client.batch_execute(sql))
    }

    /// Whether the connection can be lent again: it is alive and not in a transaction.
    pub(super) fn is_idle(&self) -> bool {
        self.is_alive() && !self.is_in_transaction.get()
    }

    /// Whether another connection leads to the same server.
    pub(super) fn is_same_server(&self, other: &Self) -> bool {
        self.peer == other.peer
    }

    /// Whether the other connections to the same server cannot be used either.
    pub(super) fn is_server_lost(&self) -> bool {
        self.is_server_lost.get()
    }

    /// Runs a part of a transaction. If it fails, it and all parts since the last savepoint are undone.
    pub(in crate::store::engine) fn attempt<T>(
        &self,
        part: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let parts = self.parts.get();
        if parts.is_multiple_of(PARTS_AT_ONCE) {
            if parts > 0 {
                self.batch("RELEASE part")?;
            }
            self.batch("SAVEPOINT part")?;
        }
        self.parts.set(parts + 1);
        let outcome = part();
        if outcome.is_err() && !self.is_lost.get() {
            self.batch("ROLLBACK TO part")?;
            self.is_failed.set(false);
        }
        outcome
    }

    /// Runs `read` with a consistent snapshot of the database.
    pub(in crate::store::engine) fn in_snapshot<T>(
        &self,
        read: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if self.is_in_transaction.get() {
            return read();
        }
        self.is_in_transaction.set(true);
        self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let outcome = read();
        let rolled_back = self.roll_back();
        let value = outcome?;
        rolled_back?;
        Ok(value)
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> Result<()> {
        self.is_failed.set(false);
        self.is_in_transaction.set(true);
        self.parts.set(0);
        self.batch("BEGIN")
    }

    /// Rolls the open transaction back.
    pub(super) fn roll_back(&self) -> Result<()> {
        self.batch("ROLLBACK")?;
        self.is_in_transaction.set(false);
        Ok(())
    }

    /// Commits the open transaction.
    ///
    /// # Errors
    /// Also if the transaction may have been committed: there was no reply, or the server warned that it did not wait
    /// for its standby.
    pub(super) fn commit(&self) -> Result<()> {
        self.is_warned.set(false);
        if let Err(error) = self.batch("COMMIT") {
            self.is_in_transaction.set(self.is_lost.get());
            return Err(error);
        }
        self.is_in_transaction.set(false);
        match self.is_warned.take() {
            true => Err(Failure::UnconfirmedCommit.into()),
            false => Ok(()),
        }
    }

    /// Cancels a statement that has reached its deadline, and returns whether the server replies then. Without that, a
    /// commit that waits for a standby would never end.
    fn replies_after_cancel(&self) -> bool {
        let deadline = Instant::now() + CANCEL_TIME_LIMIT;
        self.deadline.set(deadline);
        let poll_connection = |context: &mut Context<'_>| self.poll_connection(context);
        self.cancel().is_ok()
            && !self.is_lost.get()
            && self
                .socket
                .drive(
                    self.client.batch_execute("SELECT"),
                    poll_connection,
                    deadline,
                )
                .is_ok()
            && !self.is_lost.get()
    }

    /// Requests, over a separate connection, that the server cancel the present statement. The server does not confirm
    /// that.
    fn cancel(&self) -> std::io::Result<()> {
        let deadline = self.deadline.get();
        let socket = open(&self.peer, deadline)?;
        let canceling = self.client.cancel_token();
        let canceling = canceling.cancel_query_raw(socket.clone(), self.tls.clone());
        let outcome = socket.drive(canceling, |_| {}, deadline)?;
        outcome.map_err(std::io::Error::other)
    }

    /// Returns whether a statement has failed since the last call, and resets that.
    pub(super) fn take_failed(&self) -> bool {
        self.is_failed.take()
    }

    pub(in crate::store::engine) fn execute(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<usize> {
        let prepared = self.prepare(sql, parameters)?;
        let values = prepared.values(parameters);
        let changed = self.run(self.client.execute_raw(&prepared.statement, values))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// Calls `receive` with each row until it returns `false`. All rows are read first, so that `receive` may run
    /// statements.
    pub(in crate::store::engine) fn query(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        receive: &mut dyn FnMut(&dyn Columns) -> Result<bool>,
    ) -> Result<()> {
        let prepared = self.prepare(sql, parameters)?;
        let values = prepared.values(parameters);
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        let rows = self.run(self.client.query(&prepared.statement, &values))?;
        for row in &rows {
            if !receive(row)? {
                break;
            }
        }
        Ok(())
    }

    /// Reads rows in pages through a cursor, and calls `receive` with each row. A page is read completely first, so
    /// that `receive` may run statements, but not this method.
    pub(in crate::store::engine) fn query_many(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        receive: &mut dyn FnMut(&dyn Columns) -> Result<bool>,
    ) -> Result<()> {
        self.execute(
            &format!("DECLARE many NO SCROLL CURSOR FOR {sql}"),
            parameters,
        )?;
        let fetch = format!("FETCH {PAGE} FROM many");
        loop {
            self.set_time_limit(Instant::now(), self.time_limit.get());
            let rows = self.run(self.client.query_typed(&fetch, &[]))?;
            for row in &rows {
                receive(row)?;
            }
            if rows.len() < PAGE {
                return self.batch("CLOSE many");
            }
        }
    }

    fn prepare(&self, sql: &str, parameters: Parameters<'_>) -> Result<Arc<Prepared>> {
        if let Some(prepared) = self.statements.borrow().get(sql) {
            return Ok(Arc::clone(prepared));
        }
        let (text, names) = numbered(sql);
        let types: Vec<_> = names
            .iter()
            .map(|name| value_of(name, parameters).kind())
            .collect();
        let statement = self.run(self.client.prepare_typed(&text, &types))?;
        let prepared = Arc::new(Prepared { statement, names });
        let mut statements = self.statements.borrow_mut();
        if statements.len() == MAX_STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.into(), Arc::clone(&prepared));
        Ok(prepared)
    }

    fn run<T>(
        &self,
        future: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        if self.is_lost.get() {
            return Err(Failure::Unreachable(std::io::ErrorKind::NotConnected.into()).into());
        }
        let outcome = self.socket.drive(
            future,
            |context| self.poll_connection(context),
            self.deadline.get(),
        );
        let failure = match outcome {
            Ok(Ok(output)) => return Ok(output),
            Ok(Err(error)) => Failure::Server(error),
            Err(error) => {
                self.is_failed.set(true);
                if !self.replies_after_cancel() {
                    self.is_lost.set(true);
                    self.is_server_lost.set(true);
                }
                return Err(Failure::Unreachable(error).into());
            }
        };
        self.is_failed.set(true);
        if failure.ends_session() {
            self.is_lost.set(true);
        }
        if failure.affects_server() {
            self.is_server_lost.set(true);
        }
        Err(failure.into())
    }

    /// Lets the connection read and write what is pending.
    fn poll_connection(&self, context: &mut Context<'_>) {
        let mut connection = self.connection.borrow_mut();
        while let Some(open) = connection.as_mut() {
            match open.poll_message(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(AsyncMessage::Notice(_)))) => self.is_warned.set(true),
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => {
                    self.is_lost.set(true);
                    *connection = None;
                }
            }
        }
    }
}

impl Prepared {
    fn values<'v>(&self, parameters: Parameters<'v>) -> Vec<Value<'v>> {
        self.names
            .iter()
            .map(|name| value_of(name, parameters))
            .collect()
    }
}

/// The value of a parameter. A missing one is NULL.
fn value_of<'v>(name: &str, parameters: Parameters<'v>) -> Value<'v> {
    let given = parameters.iter().find(|(given, _)| *given == name);
    given.map_or(Value::Null(None), |(_, value)| *value)
}

impl Columns for Row {
    fn value(&self, index: usize) -> Result<Value<'_>> {
        self.try_get(index)
            .map_err(|error| StatementError::column(index, error))
    }
}
