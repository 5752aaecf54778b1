//! The flags about people: users, and account managers of organizations.

use clap::Args;

use crate::accounts::Person;

/// The name and addresses of a user.
#[derive(Args)]
#[group(skip)]
pub(super) struct PersonArgs {
    /// First name
    #[arg(long, value_name = "TEXT")]
    first_name: Option<String>,
    /// Last name
    #[arg(long, value_name = "TEXT")]
    last_name: Option<String>,
    /// Email address; by default a new user's is the username
    #[arg(long, value_name = "TEXT")]
    email: Option<String>,
    /// Phone number, in any format
    #[arg(long, value_name = "TEXT")]
    phone: Option<String>,
}

/// The account manager of an organization.
#[derive(Args)]
#[group(skip)]
pub(super) struct ManagerArgs {
    /// First name of the account manager
    #[arg(long, value_name = "TEXT")]
    account_manager_first_name: Option<String>,
    /// Last name of the account manager
    #[arg(long, value_name = "TEXT")]
    account_manager_last_name: Option<String>,
    /// Email address of the account manager
    #[arg(long, value_name = "TEXT")]
    account_manager_email: Option<String>,
    /// Phone number of the account manager
    #[arg(long, value_name = "TEXT")]
    account_manager_phone: Option<String>,
}

/// The changes to a person that the flags ask for.
#[derive(Default)]
pub(super) struct PersonEdit {
    pub(super) given: Person,
    /// The columns to clear, whose flags have an empty value.
    pub(super) cleared: Vec<&'static str>,
}

impl PersonArgs {
    pub(super) fn edit(&self) -> PersonEdit {
        PersonEdit::of(
            [&self.first_name, &self.last_name, &self.email, &self.phone].map(Option::as_deref),
        )
    }
}

impl ManagerArgs {
    pub(super) fn edit(&self) -> PersonEdit {
        PersonEdit::of(
            [
                &self.account_manager_first_name,
                &self.account_manager_last_name,
                &self.account_manager_email,
                &self.account_manager_phone,
            ]
            .map(Option::as_deref),
        )
    }
}

impl PersonEdit {
    fn of([first_name, last_name, email, phone]: [Option<&str>; 4]) -> Self {
        let mut cleared = Vec::new();
        let mut given = |column, value: Option<&str>| {
            if value == Some("") {
                cleared.push(column);
            }
            let text = value.filter(|value| !value.is_empty());
            text.map(str::to_owned)
        };
        let given = Person {
            uuid: None,
            first_name: given("first_name", first_name),
            last_name: given("last_name", last_name),
            email: given("email", email),
            phone: given("phone", phone),
        };
        Self { given, cleared }
    }

    /// Whether there is a value to write.
    pub(super) fn gives(&self) -> bool {
        self.given != Person::default()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.gives() && self.cleared.is_empty()
    }
}
