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
    /// Nobody can say yet who sent it; it waits.
    Deferred,
    /// The sender is known, and the body is not what a trigger needs.
    BadBody(Reason),
    /// Nobody knows the sender.
    Unauthorised,
}

/// The answer to an event on which the triggers have given these judgements.
pub fn answer(judgements: &[Judgement]) -> Answer {
    let bad_body = |judgement: &&Judgement| {
        judgement.verdict == Verdict::Failed && judgement.reason.is_some_and(is_about_body)
    };
    let known = |judgement: &Judgement| match judgement.verdict {
        Verdict::Matched | Verdict::Filtered => true,
        Verdict::Failed => !bad_body(&judgement),
        Verdict::NotMine | Verdict::Refused | Verdict::Deferred => false,
    };
    let deferred = |judgement: &Judgement| judgement.verdict == Verdict::Deferred;
    // A listener without triggers refuses nobody.
    if judgements.is_empty() || judgements.iter().any(known) {
        Answer::Accepted
    } else if judgements.iter().any(deferred) {
        Answer::Deferred
    } else if let Some(reason) = judgements.iter().find(bad_body).and_then(|j| j.reason) {
        Answer::BadBody(reason)
    } else {
        Answer::Unauthorised
    }
}

fn is_about_body(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::BodyEmpty
            | Reason::BodyNotJson
            | Reason::BodyNotObject
            | Reason::FormWithoutPayload
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every verdict that a trigger can give, `failed` in both its forms.
    const OUTCOMES: [(Verdict, Option<Reason>); 7] = [
        (Verdict::NotMine, Some(Reason::NotThisSender)),
        (Verdict::Refused, Some(Reason::SignatureMismatch)),
        (Verdict::Deferred, Some(Reason::SecretMissing)),
        (Verdict::Filtered, Some(Reason::FilterFalse)),
        (Verdict::Matched, None),
        (Verdict::Failed, Some(Reason::CelFailed)),
        (Verdict::Failed, Some(Reason::BodyNotJson)),
    ];

    /// The table of the design, written down independently: the first line
    /// whose outcome occurs decides.
    fn expected(outcomes: &[usize]) -> Answer {
        let table = [
            (3, Answer::Accepted),
            (4, Answer::Accepted),
            (5, Answer::Accepted),
            (2, Answer::Deferred),
            (6, Answer::BadBody(Reason::BodyNotJson)),
            (0, Answer::Unauthorised),
            (1, Answer::Unauthorised),
        ];
        let line = table.iter().find(|(outcome, _)| outcomes.contains(outcome));
        line.map_or(Answer::Accepted, |(_, answer)| *answer)
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
        assert_eq!(combinations.len(), 1 + 7 + 49 + 343 + 2401);
        for outcomes in combinations {
            let judgements: Vec<Judgement> = outcomes
                .iter()
                .map(|outcome| Judgement::bare(OUTCOMES[*outcome].0, OUTCOMES[*outcome].1))
                .collect();
            assert_eq!(answer(&judgements), expected(&outcomes), "{judgements:?}");
        }
    }
}
