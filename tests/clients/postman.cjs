// Runs a login and a call with its token with newman, from the collection that openapi-to-postmanv2 generated from the
// description.
//
//     node postman.cjs COLLECTION

"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const newman = require("newman");

const collection = JSON.parse(fs.readFileSync(process.argv[2]));

function request(name) {
  const find = (items) => items.flatMap((item) => (item.item ? find(item.item) : item.name === name ? [item] : []));
  const [found] = find(collection.item);
  assert.ok(found, name);
  return found;
}

const login = request("Login to receive an authentication token");
login.request.body.raw = JSON.stringify({ username: "jweir@projectthanos.com", password: "thanosrocks" });
login.event = [{ listen: "test", script: { exec: ['pm.collectionVariables.set("apiKey", "Token " + pm.response.json().auth_token);'] } }];
const item = [login, request("The caller's organization")];

newman.run({ collection: { ...collection, item } }, (error, summary) => {
  const statuses = summary?.run.executions.map(({ response }) => response?.code);
  assert.deepStrictEqual([error, summary?.run.failures, statuses], [null, [], [200, 200]]);
});
