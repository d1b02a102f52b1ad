//! Templates of mails that cannot be used: their languages are replaced, and nobody would notice.

use super::{alert::Alert, cap::NAMES_IN_ALERT, condition, services::Services};
use crate::{
    ledger::{ConditionName, Urgency},
    templates::{FOLDER, TemplateProblem},
};

/// Tells an admin once that templates are broken. `was_told` says that they were when the ledger was read.
pub(crate) async fn report(services: &Services, was_told: bool) {
    let problems = services.mailer.problems();
    if problems.is_empty() {
        if was_told {
            condition::end(services, ConditionName::TemplatesBroken).await;
        }
        return;
    }
    let alert = Alert {
        kind: "templates-broken",
        headline: "Templates of mails are broken, and their languages are not used".into(),
        who: FOLDER.into(),
        what_happened: format!(
            "The app has read its templates, and cannot use these:\n{}\nMails are in {}.",
            listed(problems),
            services.mailer.languages().join(", ")
        ),
        what_to_do: "Correct these lines, look at the mails with `firstpass preview`, and deploy the folder again. Everybody is served \
                     meanwhile: readers of these languages get English mails."
            .into(),
        reference: problems.first().map_or_else(String::new, |problem| problem.file.clone()),
    };
    condition::report(services, ConditionName::TemplatesBroken, Urgency::Once, &alert).await;
}

fn listed(problems: &[TemplateProblem]) -> String {
    let mut lines: Vec<String> = problems.iter().take(NAMES_IN_ALERT).map(ToString::to_string).collect();
    if let Some(more) = problems.len().checked_sub(NAMES_IN_ALERT).filter(|more| *more > 0) {
        lines.push(format!("and {more} more, which the log has"));
    }
    lines.join("\n")
}
