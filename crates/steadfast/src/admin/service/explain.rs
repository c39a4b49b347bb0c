//! Why a client is where it is, and where it would go: core's answer as a view.

use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Candidate, Explanation, Placement};
use steadfast_core::settings::StickySettings;
use steadfast_core::{SetName, Weight};
use steadfast_host::problem::Problem;
use steadfast_registry::Text;

use super::Service;
use crate::admin::tell;
use crate::admin::view::{
    Amount, CandidateView, ClientView, ExplainQuery, ExplainView, RefusedView, exclusion_word, labels_view, rule_word,
};

impl Service {
    pub(super) async fn explain_client(
        &self,
        set: &SetName,
        client: &ClientKey,
        query: &ExplainQuery,
    ) -> Result<ExplainView, Problem> {
        let (snapshot, settings) = self.sticky(set).await?;
        let (known, explanation) = match self.registry.explain(set, client, query.weight, &query.labels).await {
            Ok(found) => found,
            Err(error) => return Err(self.problem(error).await),
        };
        let known = known.map(|stored| stored.record);
        let mut view = view(set, client, known.as_ref(), &explanation, query, &settings);
        view.known = known.map(|placement| ClientView::new(client, &placement, snapshot.tick));
        view.sentence = tell::explanation(&view, settings.policy);
        Ok(view)
    }
}

fn view(
    set: &SetName,
    client: &ClientKey,
    known: Option<&Placement>,
    explanation: &Explanation,
    query: &ExplainQuery,
    settings: &StickySettings,
) -> ExplainView {
    // What is not said is as it is known.
    let weight = settings.weight_or_default(query.weight.or(known.map(|known| known.declared)));
    let mut labels = known.map(|known| known.labels.clone()).unwrap_or_default();
    labels.extend(query.labels.clone());
    let candidate = |one: &Candidate| {
        let charged_there = known.is_some_and(|known| known.phase.is_charged() && known.home == one.instance);
        candidate_view(one, if charged_there { Weight::ZERO } else { weight })
    };
    ExplainView {
        set: Text(set.clone()),
        client: Text(client.clone()),
        known: None,
        weight: weight.into(),
        labels: labels_view(&labels),
        instance: explanation.outcome.as_ref().ok().cloned().map(Text),
        refused: explanation
            .outcome
            .as_ref()
            .err()
            .map(|refusal| RefusedView { reason: refusal.reason().to_owned(), detail: refusal.to_string() }),
        rule: rule_word(explanation.rule).to_owned(),
        new_would_go_to: explanation.as_new.as_ref().ok().cloned().map(Text),
        candidates: explanation.candidates.iter().map(candidate).collect(),
        sentence: String::new(),
    }
}

fn candidate_view(one: &Candidate, added: Weight) -> CandidateView {
    let (used, capacity) = (Amount::from_milli(one.used_milli), Amount::from(one.capacity));
    CandidateView {
        instance: Text(one.instance.clone()),
        excluded: one.excluded.map(|why| exclusion_word(why).to_owned()),
        capacity,
        used,
        fill: used.part_of(capacity),
        fill_after: Amount::from_milli(one.used_milli.saturating_add(added.as_milli())).part_of(capacity),
        lacking: one.lacking,
    }
}
