// A login server of Express, with one process per core.
//
//   express.mjs seed DATABASE USERS    creates a database with the users of a CSV file
//   express.mjs serve DATABASE         serves it on a free port

import cluster from "node:cluster";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import bcrypt from "bcrypt";
import Database from "better-sqlite3";
import express from "express";

const COST = 10;

function open(file) {
  const database = new Database(file);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  return database;
}

function seed(file, users) {
  const database = open(file);
  database.exec(`
    CREATE TABLE users (
      id INTEGER PRIMARY KEY,
      username TEXT NOT NULL UNIQUE,
      password_hash TEXT NOT NULL,
      status TEXT NOT NULL
    );
    CREATE TABLE tokens (
      digest BLOB PRIMARY KEY,
      user_id INTEGER NOT NULL REFERENCES users,
      created_date TEXT NOT NULL
    );
  `);
  const insert = database.prepare(
    "INSERT INTO users (username, password_hash, status) VALUES (?, ?, 'ACTIVE')",
  );
  for (const line of readFileSync(users, "utf8").trim().split("\n").slice(1)) {
    const [username, password] = line.split(",");
    insert.run(username, bcrypt.hashSync(password, COST));
  }
}

const digest = (token) => createHash("sha256").update(token).digest();

function serve(file) {
  const database = open(file);
  const findUser = database.prepare(
    "SELECT id, password_hash, status FROM users WHERE username = ?",
  );
  const insertToken = database.prepare(
    "INSERT INTO tokens (digest, user_id, created_date) VALUES (?, ?, datetime())",
  );
  const findToken = database.prepare(
    `SELECT username, status FROM tokens JOIN users ON users.id = tokens.user_id
     WHERE digest = ?`,
  );
  const app = express();

  app.post("/api/organizations/user-login/", express.json(), async (request, response) => {
    const { username, password } = request.body;
    const user = findUser.get(username);
    if (!user || !(await bcrypt.compare(password, user.password_hash))) {
      return response.status(401).json({ detail: "Unable to log in." });
    }
    if (user.status !== "ACTIVE") {
      return response.status(403).json({ detail: "Not permitted." });
    }
    const token = randomBytes(20).toString("hex");
    insertToken.run(digest(token), user.id);
    response.json({ auth_token: token });
  });

  app.get("/api/organizations/token-verify/", (request, response) => {
    const token = request.get("Authorization")?.match(/^Token (\S+)$/)?.[1] ?? "";
    const user = findToken.get(digest(token));
    if (user?.status !== "ACTIVE") {
      return response.status(401).json({ detail: "Invalid token." });
    }
    response.json({ username: user.username });
  });

  const server = app.listen(0, "127.0.0.1", () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
  });
}

const [verb, ...args] = process.argv.slice(2);
if (verb === "seed") {
  seed(...args);
} else if (cluster.isPrimary) {
  for (let started = 0; started < availableParallelism(); started += 1) {
    cluster.fork();
  }
} else {
  serve(...args);
}
