// Uses the types that openapi-typescript generated from the description with openapi-fetch.
//
//     node typed.js URL

import assert from "node:assert";
import createClient from "openapi-fetch";
import type { paths } from "./description.js";

const client = createClient<paths>({ baseUrl: process.argv[2] });
const body = { username: "jweir@projectthanos.com", password: "thanosrocks" };
const login = await client.POST("/api/organizations/user-login/", { body });
assert.strictEqual(login.data?.auth_token, "a0f17278bed479ee719ea890b8caf0329e1f3e5b");
const headers = { Authorization: `Token ${login.data.auth_token}` };
const organization = await client.GET("/api/organizations/", { headers });
assert.strictEqual(organization.data?.name, "projectthanos");
const forced = await client.GET("/api/organizations/", { headers, params: { header: { Prefer: "code=503" } } });
assert.strictEqual(forced.response.status, 503);
assert.strictEqual(forced.error?.detail, "Service temporarily unavailable, try again later.");
const ordered = await client.PUT("/__stub/next/", { body: { code: 429 } });
assert.strictEqual(ordered.response.status, 200);
// @ts-expect-error: no such key
const wrong = await client.POST("/api/organizations/user-login/", { body: { user: "jweir" } });
assert.strictEqual(wrong.response.status, 429);
