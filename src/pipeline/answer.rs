//! What the sender is told, decided over all triggers of the listener.

use crate::model::verdict::{Reason, Verdict};

use super::judge::Judgement;

/// What the sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Somebody knows the sender: the event is accepted, whether or not
    /// anything wants it. A filtered event is never an error, because some
    /// senders give up on a hook after a few of those.
    Accepted,
    /// Nobody can decide yet; it waits.
    Deferred,
    /// The sender is known, and the body is not what a trigger needs.
    BadBody(Reason),
    /// It cannot be taken now, and may be sent again.
    Later(Reason),
    /// Nobody knows the sender.
    Unauthorised,
}

/// The answer to an event on which the triggers have given these judgements.
/// `is_incomplete` says that there may be triggers that nobody could read:
/// nobody is turned away for good then.
pub fn answer(judgements: &[Judgement], is_incomplete: bool) -> Answer {
    let bad_body = |judgement: &Judgement| failed_by(judgement, is_about_body);
    let no_room = |judgement: &Judgement| failed_by(judgement, is_about_room);
    let deferred = |judgement: &Judgement| judgement.verdict == Verdict::Deferred;
    if judgements.iter().any(is_known) {
        Answer::Accepted
    } else if let Some(reason) = judgements.iter().find_map(no_room) {
        Answer::Later(reason)
    } else if judgements.iter().any(deferred) {
        Answer::Deferred
    } else if is_incomplete {
        Answer::Later(Reason::ConfigUnread)
    } else if judgements.is_empty() {
        Answer::Later(Reason::NoTriggers)
    } else if let Some(reason) = judgements.iter().find_map(bad_body) {
        Answer::BadBody(reason)
    } else {
        Answer::Unauthorised
    }
}

/// Whether a trigger that knows its senders has decided on the event, so that
/// it is accepted whatever the others do.
pub(super) fn is_known(judgement: &Judgement) -> bool {
    let excuse = |reason| is_about_body(reason) || is_about_room(reason);
    match judgement.verdict {
        Verdict::Matched | Verdict::Filtered => true,
        Verdict::Failed => failed_by(judgement, excuse).is_none(),
        Verdict::NotMine | Verdict::Refused | Verdict::Deferred => false,
    }
}

fn failed_by(judgement: &Judgement, is: fn(Reason) -> bool) -> Option<Reason> {
    let failed = judgement.verdict == Verdict::Failed;
    judgement.reason.filter(|reason| failed && is(*reason))
}

fn is_about_room(reason: Reason) -> bool {
    reason == Reason::DeferredQuota
}

fn is_about_body(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::BodyEmpty
            | Reason::BodyNotJson
            | Reason::BodyNotObject
            | Reason::BodyTooComplex
            | Reason::FormWithoutPayload
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every verdict that a trigger can give, `failed` in all its forms.
    const OUTCOMES: [(Verdict, Option<Reason>); 8] = [
        (Verdict::NotMine, Some(Reason::NotThisSender)),
        (Verdict::Refused, Some(Reason::SignatureMismatch)),
        (Verdict::Deferred, Some(Reason::SecretMissing)),
        (Verdict::Filtered, Some(Reason::FilterFalse)),
        (Verdict::Matched, None),
        (Verdict::Failed, Some(Reason::CelFailed)),
        (Verdict::Failed, Some(Reason::BodyNotJson)),
        (Verdict::Failed, Some(Reason::DeferredQuota)),
    ];

    /// The table of the design, written down independently: the first line
    /// whose outcome occurs decides.
    fn expected(outcomes: &[usize], is_incomplete: bool) -> Answer {
        let table = [
            (3, Answer::Accepted),
            (4, Answer::Accepted),
            (5, Answer::Accepted),
            (7, Answer::Later(Reason::DeferredQuota)),
            (2, Answer::Deferred),
            (6, Answer::BadBody(Reason::BodyNotJson)),
            (0, Answer::Unauthorised),
            (1, Answer::Unauthorised),
        ];
        let line = table.iter().find(|(outcome, _)| outcomes.contains(outcome));
        match line {
            Some((0 | 1 | 6, _)) | None if is_incomplete => Answer::Later(Reason::ConfigUnread),
            Some((_, answer)) => *answer,
            None => Answer::Later(Reason::NoTriggers),
        }
    }

    #[test]
    fn every_combination_of_verdicts_is_answered_as_the_table_says() {
        let mut combinations = vec![Vec::new()];
        for length in 0..4 {
            for index in 0..combinations.len() {
                if combinations[index].len() == length {
                    for outcome in 0..OUTCOMES.len() {
                        let mut longer = combinations[index].clone();
                        longer.push(outcome);
                        combinations.push(longer);
                    }
                }
            }
        }
        assert_eq!(combinations.len(), 1 + 8 + 64 + 512 + 4096);
        for outcomes in combinations {
            let judgements: Vec<Judgement> = outcomes
                .iter()
                .map(|outcome| Judgement::bare(OUTCOMES[*outcome].0, OUTCOMES[*outcome].1))
                .collect();
            for is_incomplete in [false, true] {
                let expected = expected(&outcomes, is_incomplete);
                assert_eq!(answer(&judgements, is_incomplete), expected, "{outcomes:?}");
            }
        }
    }
}
