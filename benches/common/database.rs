//! Databases with more rows than an import would create quickly.

use std::path::Path;

use rusqlite::{Connection, named_params};
use sha2::{Digest, Sha256};
use thanos_login::store::{Durability, Store, WhenMissing};

/// The hash of all users. Any valid hash will do: nobody logs in.
const HASH: &str = "$2b$10$KG/joNZtprVqnb03qEXKYe2vwMk5Oqq7gD6vLU8yhLRR9aeZH0UCK";

/// A token of an organization. The digests are distributed like those of real tokens.
pub fn token(organization: u32, number: u32) -> String {
    format!("{organization:020x}{number:020x}")
}

/// Adds an organization with this number of users and of tokens, which are distributed evenly over the users. Creates the
/// file if it is missing.
pub fn fill(database: &Path, organization: u32, users: u32, tokens: u32) {
    drop(Store::open(database, WhenMissing::Create, Durability::Full).unwrap());
    let uuid = |kind: u32, id: u32| format!("{kind:08x}-{organization:04x}-4000-8000-{id:012x}");
    let user_id = |number: u32| organization * 1_000_000 + number % users;
    let mut connection = Connection::open(database).unwrap();
    let transaction = connection.transaction().unwrap();
    transaction
        .execute(
            "INSERT INTO organizations (id, uuid, name, org_type, retailer_uuid, status, created_date)
             VALUES (:id, :uuid, 'bench', 'RETAILER', :retailer_uuid, 'ACTIVE', 0)",
            named_params! { ":id": organization, ":uuid": uuid(1, 0), ":retailer_uuid": uuid(2, 0) },
        )
        .unwrap();
    for number in 0..users {
        let username = format!("user{number}@{organization}.projectthanos.com");
        transaction
            .prepare_cached(
                "INSERT INTO people (id, uuid, first_name, last_name, email)
                 VALUES (:id, :uuid, 'Jason', 'Weir', :email)",
            )
            .unwrap()
            .execute(named_params! {
                ":id": user_id(number), ":uuid": uuid(3, number), ":email": username,
            })
            .unwrap();
        transaction
            .prepare_cached(
                "INSERT INTO users (id, uuid, org_id, person_id, username, password_hash, status)
                 VALUES (:id, :uuid, :org_id, :id, :username, :hash, 'ACTIVE')",
            )
            .unwrap()
            .execute(named_params! {
                ":id": user_id(number), ":uuid": uuid(4, number), ":org_id": organization,
                ":username": username, ":hash": HASH,
            })
            .unwrap();
    }
    // Inserting in the order of the key is faster and fills the pages of the table as much as they are over time.
    let mut digests: Vec<([u8; 32], u32)> = (0..tokens)
        .map(|number| (Sha256::digest(token(organization, number)).into(), number))
        .collect();
    digests.sort_unstable();
    for (digest, number) in digests {
        transaction
            .prepare_cached(
                "INSERT INTO tokens (digest, user_id, issued_at, expires_at)
                 VALUES (:digest, :user_id, 0, 4102444800000000)",
            )
            .unwrap()
            .execute(named_params! { ":digest": digest, ":user_id": user_id(number) })
            .unwrap();
    }
    transaction.commit().unwrap();
}
