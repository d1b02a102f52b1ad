//! The forms of `$filter` that the sandbox implements. It refuses all others.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Person, schema, wire::ErrorResponse};

/// A filter on users: comparisons joined by `and`.
pub(super) struct UserFilter(Vec<Comparison>);

enum Comparison {
    HireDate(Operator, DateTime<Utc>),
    UserPrincipalName(String),
}

#[derive(Clone, Copy)]
enum Operator {
    Ge,
    Le,
    Eq,
}

impl UserFilter {
    pub(super) fn parse(text: &str) -> Result<Self, ErrorResponse> {
        check_form(text)?;
        text.split(" and ").map(Comparison::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether Graph requires an advanced query for it.
    pub(super) fn is_advanced(&self) -> bool {
        self.0.iter().any(|comparison| matches!(comparison, Comparison::HireDate(..)))
    }

    pub(super) fn matches(&self, person: &Person) -> bool {
        self.0.iter().all(|comparison| comparison.holds(person))
    }
}

impl Comparison {
    fn parse(text: &str) -> Result<Self, ErrorResponse> {
        let (property, operator, value) = terms(text)?;
        match property {
            "employeeHireDate" => Ok(Self::HireDate(Operator::parse(operator)?, date(value)?)),
            "userPrincipalName" if operator == "eq" => Ok(Self::UserPrincipalName(quoted(value)?)),
            _ if [schema::USER.by_default, schema::USER.on_request, schema::USER.unimplemented]
                .concat()
                .contains(&property) =>
            {
                Err(ErrorResponse::not_implemented(&format!("the filter '{property} {operator} …'")))
            }
            _ => Err(ErrorResponse::bad_request(format!(
                "Could not find a property named '{property}' on type 'microsoft.graph.user'."
            ))),
        }
    }

    fn holds(&self, person: &Person) -> bool {
        match self {
            Self::UserPrincipalName(name) => person.user_principal_name.eq_ignore_ascii_case(name),
            Self::HireDate(operator, value) => person.hire_date.is_some_and(|date| match operator {
                Operator::Ge => date >= *value,
                Operator::Le => date <= *value,
                Operator::Eq => date == *value,
            }),
        }
    }
}

impl Operator {
    fn parse(text: &str) -> Result<Self, ErrorResponse> {
        match text {
            "ge" => Ok(Self::Ge),
            "le" => Ok(Self::Le),
            "eq" => Ok(Self::Eq),
            "ne" => Err(ErrorResponse::not_implemented(&format!("the operator '{text}'"))),
            // Hire dates support eq, ne, ge, le and in only (filter table of directory objects).
            _ => Err(ErrorResponse::unsupported_query(format!(
                "Unsupported or invalid query filter clause: '{text}'."
            ))),
        }
    }
}

/// Refuses the forms that OData has and the sandbox does not implement: functions, parentheses, `or`, `not`, `in`.
fn check_form(text: &str) -> Result<(), ErrorResponse> {
    // Every second piece is inside quotes.
    let bare: String = text.split('\'').step_by(2).collect();
    let is_simple = |word: &str| !["or", "not", "in", "has"].contains(&word);
    if bare.contains(['(', ')']) || !bare.split(' ').all(is_simple) {
        return Err(ErrorResponse::not_implemented(&format!("the filter '{text}'")));
    }
    Ok(())
}

/// The id in `principalId eq '…'`, the only filter on role assignments that is implemented.
pub(super) fn principal(text: &str) -> Result<Uuid, ErrorResponse> {
    check_form(text)?;
    let (property, operator, value) = terms(text)?;
    if (property, operator) != ("principalId", "eq") {
        return Err(ErrorResponse::not_implemented(&format!("the filter '{property} {operator} …' here")));
    }
    let id = quoted(value)?;
    id.parse().map_err(|_| ErrorResponse::bad_request(format!("Invalid GUID:{id}")))
}

fn terms(text: &str) -> Result<(&str, &str, &str), ErrorResponse> {
    let mut terms = text.trim().splitn(3, ' ');
    match (terms.next(), terms.next(), terms.next()) {
        (Some(property), Some(operator), Some(value)) => Ok((property, operator, value.trim())),
        _ => Err(ErrorResponse::bad_request(format!("Invalid filter clause: '{text}'."))),
    }
}

fn date(text: &str) -> Result<DateTime<Utc>, ErrorResponse> {
    DateTime::parse_from_rfc3339(text).map(|date| date.to_utc()).map_err(|_| {
        ErrorResponse::bad_request(format!("Invalid filter clause: '{text}' is not a date and time."))
    })
}

fn quoted(text: &str) -> Result<String, ErrorResponse> {
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    match inner.filter(|inner| !inner.replace("''", "").contains('\'')) {
        Some(inner) => Ok(inner.replace("''", "'")),
        None => {
            Err(ErrorResponse::bad_request(format!("Invalid filter clause: {text} is not a quoted string.")))
        }
    }
}
