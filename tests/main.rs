//! What clients and operators see, tested from outside: the real binary, a real socket, a real SQLite file.
