//! Directory objects other than users: groups, devices, contacts and role assignments.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Person, roles, schema::object};

/// A security group.
#[derive(Clone, Debug)]
pub struct Group {
    /// The object id; nil until the group is added to a tenant.
    pub id: Uuid,
    /// The display name.
    pub display_name: String,
    /// Whether Graph hides its members from apps without `Member.Read.Hidden`.
    pub hidden_membership: bool,
    /// Whether directory roles can be assigned to it. Helpdesk roles then have no power over its members.
    pub assignable_to_role: bool,
    /// Its members.
    pub membership: Membership,
    /// Whether its dynamic rule is paused: nobody new gets in.
    pub is_paused: bool,
}

/// How members are defined.
#[derive(Clone, Debug)]
pub enum Membership {
    /// Assigned members: users, groups, devices and service principals.
    Assigned(BTreeSet<Uuid>),
    /// A dynamic rule: member accounts whose hire date is between yesterday and this time from now.
    JoinersWithin(TimeDelta),
}

impl Group {
    /// A group without members.
    pub fn named(display_name: &str) -> Self {
        Self {
            id: Uuid::nil(),
            display_name: display_name.to_owned(),
            hidden_membership: false,
            assignable_to_role: false,
            membership: Membership::Assigned(BTreeSet::new()),
            is_paused: false,
        }
    }

    /// Sets the members.
    pub fn members(mut self, ids: impl IntoIterator<Item = Uuid>) -> Self {
        self.membership = Membership::Assigned(ids.into_iter().collect());
        self
    }

    /// Sets a dynamic rule: joiners whose hire date is within this time.
    pub fn joiners_within(mut self, ahead: TimeDelta) -> Self {
        self.membership = Membership::JoinersWithin(ahead);
        self
    }

    /// Hides its members.
    pub fn with_hidden_membership(mut self) -> Self {
        self.hidden_membership = true;
        self
    }

    /// Allows role assignments to it.
    pub fn role_assignable(mut self) -> Self {
        self.assignable_to_role = true;
        self
    }

    /// Whether its membership is dynamic.
    pub fn is_dynamic(&self) -> bool {
        !matches!(self.membership, Membership::Assigned(_))
    }

    pub(super) fn to_graph(&self) -> Map<String, Value> {
        let rule = match &self.membership {
            Membership::Assigned(_) => None,
            Membership::JoinersWithin(ahead) => Some(membership_rule(*ahead)),
        };
        object(json!({
            "id": self.id,
            "displayName": self.display_name,
            "description": null,
            "groupTypes": if rule.is_some() { vec!["DynamicMembership"] } else { vec![] },
            // Graph returns null, not false, for a group that was not created for roles.
            "isAssignableToRole": self.assignable_to_role.then_some(true),
            "mail": null,
            "mailEnabled": false,
            "mailNickname": self.id.simple().to_string(),
            "membershipRuleProcessingState":
                rule.as_ref().map(|_| if self.is_paused { "Paused" } else { "On" }),
            "membershipRule": rule,
            "securityEnabled": true,
            "visibility": self.hidden_membership.then_some("HiddenMembership"),
        }))
    }
}

fn membership_rule(ahead: TimeDelta) -> String {
    format!(
        "(user.employeeHireDate -ge system.now -minus p1d) -and (user.employeeHireDate -le system.now -plus p{}d) \
         -and (user.userType -eq \"Member\")",
        ahead.num_days()
    )
}

impl Membership {
    /// Whether the dynamic rule includes `person`; `false` for an assigned membership.
    pub(super) fn rule_matches(&self, person: &Person, now: DateTime<Utc>) -> bool {
        match self {
            Self::Assigned(_) => false,
            Self::JoinersWithin(ahead) => {
                !person.guest
                    && person
                        .hire_date
                        .is_some_and(|date| now - TimeDelta::days(1) <= date && date <= now + *ahead)
            }
        }
    }
}

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    /// The object id.
    pub id: Uuid,
    /// The display name.
    pub display_name: String,
}

impl Device {
    pub(super) fn to_graph(&self) -> Map<String, Value> {
        object(json!({
            "id": self.id,
            "displayName": self.display_name,
            "accountEnabled": true,
            "deviceId": self.id,
            "operatingSystem": "Windows",
        }))
    }
}

/// A service principal: the identity of an app.
#[derive(Clone, Debug)]
pub struct ServicePrincipal {
    /// The object id.
    pub id: Uuid,
    /// The display name.
    pub display_name: String,
}

impl ServicePrincipal {
    pub(super) fn to_graph(&self) -> Map<String, Value> {
        object(json!({
            "id": self.id,
            "accountEnabled": true,
            "appId": self.id,
            "displayName": self.display_name,
            "servicePrincipalType": "Application",
        }))
    }
}

/// An app registration.
#[derive(Clone, Debug)]
pub struct Application {
    /// The object id.
    pub id: Uuid,
    /// The display name.
    pub display_name: String,
}

impl Application {
    pub(super) fn to_graph(&self) -> Map<String, Value> {
        object(json!({
            "id": self.id,
            "appId": self.id,
            "displayName": self.display_name,
            "signInAudience": "AzureADMyOrg",
        }))
    }
}

/// An organisational contact, who can be a user's manager.
#[derive(Clone, Debug)]
pub struct Contact {
    /// The object id; nil until the contact is added to a tenant.
    pub id: Uuid,
    /// The display name.
    pub display_name: String,
    /// The mail address.
    pub mail: Option<String>,
}

impl Contact {
    /// A contact with an address.
    pub fn named(display_name: &str, mail: &str) -> Self {
        Self { id: Uuid::nil(), display_name: display_name.to_owned(), mail: Some(mail.to_owned()) }
    }

    pub(super) fn to_graph(&self) -> Map<String, Value> {
        let (given, surname) = self.display_name.split_once(' ').unwrap_or((&self.display_name, ""));
        object(json!({
            "id": self.id,
            "displayName": self.display_name,
            "givenName": given,
            "surname": surname,
            "mail": self.mail,
            "mailNickname": self.mail.as_deref().and_then(|mail| mail.split('@').next()),
            "companyName": null,
            "department": null,
            "jobTitle": null,
        }))
    }
}

/// A directory role that a user or group holds or is eligible for.
#[derive(Clone, Debug)]
pub struct RoleAssignment {
    /// The id of the assignment.
    pub id: Uuid,
    /// The id of the user or group.
    pub principal: Uuid,
    /// The template id of the role.
    pub role: Uuid,
    /// The administrative unit that it is limited to; `None`: the tenant.
    pub unit: Option<Uuid>,
}

impl RoleAssignment {
    pub(super) fn to_assignment(&self) -> Map<String, Value> {
        object(json!({
            "id": self.id.simple().to_string(),
            "principalId": self.principal,
            "roleDefinitionId": self.role,
            "directoryScopeId": self.scope(),
        }))
    }

    fn scope(&self) -> String {
        self.unit.map_or_else(|| "/".to_owned(), |unit| format!("/administrativeUnits/{unit}"))
    }

    /// The role of the assignment, as `$expand=roleDefinition` adds it.
    pub(super) fn role_definition(&self) -> Value {
        json!({
            "id": self.role,
            "displayName": roles::name(self.role),
            "description": null,
            "isBuiltIn": roles::name(self.role) != "Custom role",
            "isEnabled": true,
            "templateId": self.role,
        })
    }

    pub(super) fn to_eligibility(&self) -> Map<String, Value> {
        object(json!({
            "id": self.id.simple().to_string(),
            "principalId": self.principal,
            "roleDefinitionId": self.role,
            "directoryScopeId": self.scope(),
            "appScopeId": null,
            "memberType": "Direct",
            "roleEligibilityScheduleId": self.id,
            "startDateTime": null,
            "endDateTime": null,
        }))
    }
}

/// The id of the tenant's directoryRole object, which differs from the id of its template.
pub(super) fn role_object_id(template: Uuid) -> Uuid {
    Uuid::from_u128(template.as_u128() ^ 0x0d1e_c702_0000_0000_0000_0000_0000_401e)
}

pub(super) fn role_to_graph(template: Uuid) -> Map<String, Value> {
    object(json!({
        "id": role_object_id(template),
        "displayName": roles::name(template),
        "description": null,
        "roleTemplateId": template,
    }))
}
