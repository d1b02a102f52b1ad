//! Paths of Graph.

use axum::http::Method;

use super::{
    query::decode,
    segments,
    wire::{ErrorResponse, GraphCall},
};

/// The resource that a path names, with decoded keys.
pub(super) enum Route {
    Users,
    DeletedItem(String),
    User(String),
    Manager(String),
    TransitiveMemberOf(String),
    OwnedObjects(String),
    Methods(String),
    RegistrationDetails(String),
    Passes(String),
    Pass(String, String),
    SendMail(String),
    Group(String),
    Members(String),
    MemberRefs(String),
    MemberRef(String, String),
    RoleAssignments,
    RoleEligibility,
    GroupEligibility,
    Domains,
    PassPolicy,
    MethodPolicy(MethodPolicyName),
    ConditionalAccess,
    Subscriptions,
    Subscription(String),
}

/// A policy of a method of sign-in.
#[derive(Clone, Copy)]
pub(super) enum MethodPolicyName {
    Passkeys,
    Authenticator,
}

impl Route {
    /// Whether Graph has this method here and the sandbox does not implement it.
    pub(super) fn is_known_to_graph(&self, method: &Method) -> bool {
        match self {
            Self::Users | Self::RoleAssignments | Self::ConditionalAccess => method == Method::POST,
            Self::MemberRefs(_) => [Method::GET, Method::DELETE].contains(method),
            Self::User(_) | Self::Group(_) | Self::PassPolicy | Self::MethodPolicy(_) => {
                [Method::PATCH, Method::DELETE].contains(method)
            }
            Self::DeletedItem(_) => method == Method::DELETE,
            _ => false,
        }
    }

    /// The type of the objects in an answer that do not name theirs.
    pub(super) fn declared_type(&self) -> &'static str {
        match self {
            Self::Users | Self::User(_) | Self::SendMail(_) => "user",
            Self::Manager(_)
            | Self::TransitiveMemberOf(_)
            | Self::OwnedObjects(_)
            | Self::Members(_)
            | Self::MemberRefs(_)
            | Self::MemberRef(..)
            | Self::DeletedItem(_) => "directoryObject",
            Self::Methods(_) => "authenticationMethod",
            Self::RegistrationDetails(_) => "userRegistrationDetails",
            Self::Passes(_) | Self::Pass(..) => "temporaryAccessPassAuthenticationMethod",
            Self::Group(_) => "group",
            Self::RoleAssignments => "unifiedRoleAssignment",
            Self::RoleEligibility => "unifiedRoleEligibilityScheduleInstance",
            Self::GroupEligibility => "privilegedAccessGroupEligibilityScheduleInstance",
            Self::Domains => "domain",
            Self::PassPolicy => "temporaryAccessPassAuthenticationMethodConfiguration",
            Self::MethodPolicy(MethodPolicyName::Passkeys) => "fido2AuthenticationMethodConfiguration",
            Self::MethodPolicy(MethodPolicyName::Authenticator) => {
                "microsoftAuthenticatorAuthenticationMethodConfiguration"
            }
            Self::ConditionalAccess => "conditionalAccessPolicy",
            Self::Subscriptions | Self::Subscription(_) => "subscription",
        }
    }

    pub(super) fn parse(call: &GraphCall) -> Result<Self, ErrorResponse> {
        let segments = split(call.path())?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Ok(match segments.as_slice() {
            ["groups", key, "members", "$ref"] => Self::MemberRefs(key.to_string()),
            ["groups", key, "members", member, "$ref"] => {
                Self::MemberRef(key.to_string(), member.to_string())
            }
            [path @ .., "$ref"] => return Err(refusal(call, path)),
            ["users"] => Self::Users,
            ["directory", "deletedItems", key] => Self::DeletedItem(key.to_string()),
            ["users", key] => Self::User(key.to_string()),
            ["users", key, "manager"] => Self::Manager(key.to_string()),
            ["users", key, "transitiveMemberOf"] => Self::TransitiveMemberOf(key.to_string()),
            ["users", key, "ownedObjects"] => Self::OwnedObjects(key.to_string()),
            ["users", key, "sendMail"] => Self::SendMail(key.to_string()),
            ["users", key, "authentication", "methods"] => Self::Methods(key.to_string()),
            ["reports", "authenticationMethods", "userRegistrationDetails", key] => {
                Self::RegistrationDetails(key.to_string())
            }
            ["users", key, "authentication", "temporaryAccessPassMethods"] => Self::Passes(key.to_string()),
            ["users", key, "authentication", "temporaryAccessPassMethods", pass] => {
                Self::Pass(key.to_string(), pass.to_string())
            }
            ["groups", key] => Self::Group(key.to_string()),
            ["groups", key, "members"] => Self::Members(key.to_string()),
            ["roleManagement", "directory", "roleAssignments"] => Self::RoleAssignments,
            ["roleManagement", "directory", "roleEligibilityScheduleInstances"] => Self::RoleEligibility,
            ["identityGovernance", "privilegedAccess", "group", "eligibilityScheduleInstances"] => {
                Self::GroupEligibility
            }
            ["domains"] => Self::Domains,
            ["subscriptions"] => Self::Subscriptions,
            ["subscriptions", key] => Self::Subscription(key.to_string()),
            ["policies", "authenticationMethodsPolicy", "authenticationMethodConfigurations", id]
                if id.eq_ignore_ascii_case("temporaryAccessPass") =>
            {
                Self::PassPolicy
            }
            ["policies", "authenticationMethodsPolicy", "authenticationMethodConfigurations", id]
                if id.eq_ignore_ascii_case("fido2") =>
            {
                Self::MethodPolicy(MethodPolicyName::Passkeys)
            }
            ["policies", "authenticationMethodsPolicy", "authenticationMethodConfigurations", id]
                if id.eq_ignore_ascii_case("microsoftAuthenticator") =>
            {
                Self::MethodPolicy(MethodPolicyName::Authenticator)
            }
            ["identity", "conditionalAccess", "policies"] => Self::ConditionalAccess,
            ["me", ..] => {
                return Err(ErrorResponse::bad_request(
                    "/me request is only valid with delegated authentication flow.",
                ));
            }
            [] => return Err(ErrorResponse::not_implemented("the service document")),
            unknown => return Err(refusal(call, unknown)),
        })
    }
}

/// The error for an unknown path: Graph does not have it, or the sandbox does not implement it.
fn refusal(call: &GraphCall, path: &[&str]) -> ErrorResponse {
    if let Some(segment) = segments::unknown(path) {
        return ErrorResponse::bad_request(format!("Resource not found for the segment '{segment}'."));
    }
    match path.last() {
        Some(last) if last.starts_with("microsoft.graph.") && !segments::is_cast(last) => {
            ErrorResponse::unsupported_query("Unsupported Query.")
        }
        _ => ErrorResponse::not_implemented(&format!("the path '{}'", call.path())),
    }
}

/// The segments of the path; `users('key')` becomes `users` and `key`.
fn split(path: &str) -> Result<Vec<String>, ErrorResponse> {
    let mut segments = Vec::new();
    // Split before decoding: an encoded slash is part of a key.
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let segment = decode(segment)?;
        match key_in_parentheses(&segment)? {
            Some((name, key)) => segments.extend([name, key]),
            // OData reads a plain segment with a leading dollar sign as an operation.
            None if segment.starts_with('$') && segment.contains('@') => {
                return Err(ErrorResponse::bad_request(format!(
                    "Resource not found for the segment '{segment}'."
                )));
            }
            None if segment.starts_with('$') && segment != "$ref" => {
                return Err(ErrorResponse::not_implemented(&format!("the path segment '{segment}'")));
            }
            None => segments.push(segment),
        }
    }
    Ok(segments)
}

/// `("users", "o'brien@…")` from `users('o''brien@…')`.
fn key_in_parentheses(segment: &str) -> Result<Option<(String, String)>, ErrorResponse> {
    let Some((name, key)) = segment.strip_suffix("')").and_then(|segment| segment.split_once("('")) else {
        return Ok(None);
    };
    if key.replace("''", "").contains('\'') {
        return Err(ErrorResponse::bad_request(format!(
            "There is an unterminated string literal in '{segment}'."
        )));
    }
    Ok(Some((name.to_owned(), key.replace("''", "'"))))
}
