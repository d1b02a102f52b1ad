//! Built-in directory roles of Entra ID, by template id.

use uuid::{Uuid, uuid};

/// Authentication Administrator.
pub const AUTHENTICATION_ADMINISTRATOR: Uuid = uuid!("c4e39bd9-1100-46d3-8c65-fb160da0071f");
/// Directory Readers.
pub const DIRECTORY_READERS: Uuid = uuid!("88d8e3e3-8f55-4a1e-953a-9b9898b8876b");
/// Global Administrator.
pub const GLOBAL_ADMINISTRATOR: Uuid = uuid!("62e90394-69f5-4237-9190-012177145e10");
/// Groups Administrator.
pub const GROUPS_ADMINISTRATOR: Uuid = uuid!("fdd7a751-b60b-444a-984c-02652fe8fa1c");
/// Guest Inviter.
pub const GUEST_INVITER: Uuid = uuid!("95e79109-95c0-4d8e-aee3-d01accf2d47b");
/// Helpdesk Administrator.
pub const HELPDESK_ADMINISTRATOR: Uuid = uuid!("729827e3-9c14-49f7-bb1b-9608f156bbb8");
/// Message Center Reader.
pub const MESSAGE_CENTER_READER: Uuid = uuid!("790c1fb9-7f7d-4f88-86a1-ef1f95c05c1b");
/// Password Administrator.
pub const PASSWORD_ADMINISTRATOR: Uuid = uuid!("966707d0-3269-4727-9be2-8c3a10f19b9d");
/// Privileged Role Administrator.
pub const PRIVILEGED_ROLE_ADMINISTRATOR: Uuid = uuid!("e8611ab8-c189-46e8-94e1-60213ab1f814");
/// Reports Reader.
pub const REPORTS_READER: Uuid = uuid!("4a5d8f65-41da-4de4-8968-e035b65339cf");
/// Usage Summary Reports Reader.
pub const USAGE_SUMMARY_REPORTS_READER: Uuid = uuid!("75934031-6c7e-415a-99d7-48dbd49e875e");
/// User Administrator.
pub const USER_ADMINISTRATOR: Uuid = uuid!("fe930be7-5e62-47db-91af-98c3a49a38b1");
/// User Experience Success Manager.
pub const USER_EXPERIENCE_SUCCESS_MANAGER: Uuid = uuid!("27460883-1df1-4691-b032-3b79643e5e63");

/// The role's name in the portal.
pub fn name(template: Uuid) -> &'static str {
    match template {
        AUTHENTICATION_ADMINISTRATOR => "Authentication Administrator",
        DIRECTORY_READERS => "Directory Readers",
        GLOBAL_ADMINISTRATOR => "Global Administrator",
        GROUPS_ADMINISTRATOR => "Groups Administrator",
        GUEST_INVITER => "Guest Inviter",
        HELPDESK_ADMINISTRATOR => "Helpdesk Administrator",
        MESSAGE_CENTER_READER => "Message Center Reader",
        PASSWORD_ADMINISTRATOR => "Password Administrator",
        PRIVILEGED_ROLE_ADMINISTRATOR => "Privileged Role Administrator",
        REPORTS_READER => "Reports Reader",
        USAGE_SUMMARY_REPORTS_READER => "Usage Summary Reports Reader",
        USER_ADMINISTRATOR => "User Administrator",
        USER_EXPERIENCE_SUCCESS_MANAGER => "User Experience Success Manager",
        _ => "Custom role",
    }
}

/// Whether an Authentication Administrator may act on the holders of a role, by Microsoft's page on privileged roles.
pub fn is_under_authentication_administrator(template: Uuid) -> bool {
    !is_privileged(template) || matches!(template, AUTHENTICATION_ADMINISTRATOR | PASSWORD_ADMINISTRATOR)
}

/// Whether a role is privileged.
///
/// Microsoft's page on privileged roles lists the roles whose holders an Authentication Administrator may act on; every
/// other role is privileged, custom ones included. So are two on that list that Microsoft itself marks as privileged,
/// because they can reset other users' credentials.
pub fn is_privileged(template: Uuid) -> bool {
    !matches!(
        template,
        DIRECTORY_READERS
            | GUEST_INVITER
            | MESSAGE_CENTER_READER
            | REPORTS_READER
            | USAGE_SUMMARY_REPORTS_READER
            | USER_EXPERIENCE_SUCCESS_MANAGER
    )
}
