//! A connection to a server, and the statements that it has prepared.

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

/// The program has fewer statements; all are prepared again in the rare case that listings make more.
const MAX_STATEMENTS: usize = 256;

/// Each savepoint takes two round trips, and with more than 64 of them in a transaction all others are slowed down.
const PARTS_AT_ONCE: u32 = 2_048;

/// How long ending a commit may take.
const CANCEL_PATIENCE: Duration = Duration::from_millis(500);

/// One connection, for one thread at a time.
pub(in crate::store) struct Session {
    client: Client,
    /// `None` once it has ended: what waits for its answers ends with it.
    connection: RefCell<Option<Connection<Socket, TlsStream>>>,
    socket: Socket,
    peer: Peer,
    tls: Tls,
    statements: RefCell<HashMap<Box<str>, Arc<Prepared>>>,
    /// When whatever is in progress has taken too long.
    deadline: Cell<Instant>,
    /// How much longer that is with each further page of very many rows.
    patience: Cell<Duration>,
    /// A statement of the present transaction has failed: the server has rolled it back.
    is_failed: Cell<bool>,
    /// The server has warned of something.
    is_warned: Cell<bool>,
    /// Nothing can be sent any more.
    is_lost: Cell<bool>,
    is_in_transaction: Cell<bool>,
    /// So many parts of the present transaction may have failed without the rest.
    parts: Cell<u32>,
    /// The other connections to the same server are of no use either.
    is_server_lost: Cell<bool>,
}

struct Prepared {
    statement: Statement,
    names: Vec<String>,
}

impl Session {
    /// Connects to a server and logs in.
    pub(super) fn start(peer: &Peer, config: &Config, tls: Tls, deadline: Instant) -> Result<Self> {
        let socket = open(peer, deadline).map_err(Failure::Away)?;
        let starting = config.connect_raw(socket.clone(), tls.clone());
        let (client, connection) = socket
            .drive(starting, |_| {}, deadline)
            .map_err(Failure::Away)?
            .map_err(Failure::Server)?;
        Ok(Self {
            client,
            connection: RefCell::new(Some(connection)),
            socket,
            peer: peer.clone(),
            tls,
            statements: RefCell::default(),
            deadline: Cell::new(deadline),
            patience: Cell::default(),
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

    /// Sets the deadline of a call that may take `patience` from `start` on, and as long again for each page of very many rows.
    pub(super) fn set_patience(&self, start: Instant, patience: Duration) {
        self.patience.set(patience);
        self.deadline.set(start + patience);
    }

    /// Whether it can be used: what the server has said since is read, without waiting for it.
    pub(super) fn is_alive(&self) -> bool {
        self.hear(&mut Context::from_waker(Waker::noop()));
        !self.is_lost.get()
    }

    /// Runs statements without parameters or rows.
    pub(in crate::store) fn batch(&self, sql: &str) -> Result<()> {
        self.run(self.client.batch_execute(sql))
    }

    /// Whether it can be lent again: alive, and in no transaction.
    pub(super) fn is_idle(&self) -> bool {
        self.is_alive() && !self.is_in_transaction.get()
    }

    /// Whether another connection is to the same server.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.peer == other.peer
    }

    /// Whether the other connections to the same server are of no use either.
    pub(super) fn is_server_lost(&self) -> bool {
        self.is_server_lost.get()
    }

    /// Runs a part of a transaction; when it fails, this one and those since the last savepoint are undone.
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

    /// Has all statements in `read` see the database as it is at one moment.
    pub(in crate::store::engine) fn at_one_moment<T>(
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

    /// Opens a transaction.
    pub(super) fn begin(&self) -> Result<()> {
        self.is_failed.set(false);
        self.is_in_transaction.set(true);
        self.parts.set(0);
        self.batch("BEGIN")
    }

    /// Undoes the open transaction.
    pub(super) fn roll_back(&self) -> Result<()> {
        self.batch("ROLLBACK")?;
        self.is_in_transaction.set(false);
        Ok(())
    }

    /// Commits the open transaction.
    ///
    /// # Errors
    /// Also where it may be committed all the same: no answer came, or a warning, with which a server says that it did not
    /// wait for its standby to the end.
    pub(super) fn commit(&self) -> Result<()> {
        self.is_warned.set(false);
        if let Err(error) = self.batch("COMMIT") {
            self.is_in_transaction.set(self.is_lost.get());
            return Err(error);
        }
        self.is_in_transaction.set(false);
        match self.is_warned.take() {
            true => Err(Failure::Unsure.into()),
            false => Ok(()),
        }
    }

    /// Ends a statement that was not answered in time, since a commit that waits for a standby would go on for ever, and says
    /// whether the server answers then.
    fn is_answered_after_all(&self) -> bool {
        let deadline = Instant::now() + CANCEL_PATIENCE;
        self.deadline.set(deadline);
        let hear = |context: &mut Context<'_>| self.hear(context);
        self.cancel().is_ok()
            && !self.is_lost.get()
            && self
                .socket
                .drive(self.client.batch_execute("SELECT"), hear, deadline)
                .is_ok()
            && !self.is_lost.get()
    }

    /// Asks the server, over a connection of its own, to end what this one is at. Whether it does shows nowhere.
    fn cancel(&self) -> std::io::Result<()> {
        let deadline = self.deadline.get();
        let socket = open(&self.peer, deadline)?;
        let canceling = self.client.cancel_token();
        let canceling = canceling.cancel_query_raw(socket.clone(), self.tls.clone());
        let outcome = socket.drive(canceling, |_| {}, deadline)?;
        outcome.map_err(std::io::Error::other)
    }

    /// Whether a statement has failed since this was asked last.
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

    /// All rows are read before the first is handed on, so that `receive` may run statements of its own.
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

    /// Reads a page of rows at a time. Each is read before the first of it is handed on, so that `receive` may run statements
    /// of its own, but not another one of this kind.
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
            self.set_patience(Instant::now(), self.patience.get());
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
            return Err(Failure::Away(std::io::ErrorKind::NotConnected.into()).into());
        }
        let outcome = self
            .socket
            .drive(future, |context| self.hear(context), self.deadline.get());
        let failure = match outcome {
            Ok(Ok(output)) => return Ok(output),
            Ok(Err(error)) => Failure::Server(error),
            Err(error) => {
                self.is_failed.set(true);
                if !self.is_answered_after_all() {
                    self.is_lost.set(true);
                    self.is_server_lost.set(true);
                }
                return Err(Failure::Away(error).into());
            }
        };
        self.is_failed.set(true);
        if failure.ends_session() {
            self.is_lost.set(true);
        }
        if failure.is_of_server() {
            self.is_server_lost.set(true);
        }
        Err(failure.into())
    }

    /// Has the connection go on with what it has to read and write.
    fn hear(&self, context: &mut Context<'_>) {
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

/// A name that is not given is NULL.
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
