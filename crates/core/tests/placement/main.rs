//! What placement promises of any books and any sequence of asks: thousands of seeded cases a test. A case that fails
//! names its seed; [`Random`] makes the same case of it on every machine.

mod books;
#[path = "../simulation/random.rs"]
mod random;

use std::collections::BTreeSet;

use books::{Case, id, key};
use random::Random;
use steadfast_core::Weight;
use steadfast_core::client::Labels;
use steadfast_core::placement::{
    Decision, Exclusion, LedgerState, Legal, Note, Phase, Refusal, Tick, Transition, Wish, explain,
};
use steadfast_core::settings::Policy;

/// Cases a test.
const CASES: u64 = 1_000;
/// Asks a case.
const ASKS: usize = 60;

fn arrive(weight: Weight) -> Wish {
    Wish::Arrive { weight: Some(weight), labels: Labels::new(), present: false }
}

/// A part of a whole, compared exactly.
fn at_most(part: (u128, u128), other: (u128, u128)) -> bool {
    part.0 * other.1 <= other.0 * part.1
}

/// No placement whatever can keep the fullest instance below this: all the work over all the room, and the k heaviest
/// clients over the k largest instances, since they are on at most k.
fn lower_bound(weights: &[u64], capacities: &[u64]) -> (u128, u128) {
    let sorted = |values: &[u64]| {
        let mut values: Vec<u128> = values.iter().map(|value| u128::from(*value)).collect();
        values.sort_unstable_by(|left, right| right.cmp(left));
        values
    };
    let (weights, capacities) = (sorted(weights), sorted(capacities));
    let mut highest = (weights.iter().sum(), capacities.iter().sum());
    for k in 1..=weights.len().min(capacities.len()) {
        let part = (weights[..k].iter().sum(), capacities[..k].iter().sum());
        if !at_most(part, highest) {
            highest = part;
        }
    }
    highest
}

#[test]
fn spread_on_equal_instances_is_at_most_twice_as_full_as_the_best_there_is() {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let (instances, capacity) = (random.between(1, 9), random.between(1_000_000, 1_000_000_000));
        let mut case = Case::plain(&vec![capacity; instances as usize], Policy::Spread);
        let heaviest = random.pick(&[2, 10, capacity / 100]);
        let weights: Vec<u64> = (0..random.between(1, 80)).map(|_| random.between(1, heaviest)).collect();
        for (index, weight) in weights.iter().enumerate() {
            case.ask(index, arrive(books::milli(*weight))).expect("there is room");
        }
        let peak = case.members.values().map(|member| member.ledger.charged_milli).max().expect("an instance");
        let bound = lower_bound(&weights, &vec![capacity; instances as usize]);
        // peak / capacity ≤ (2 − 1/m) × bound
        let m = u128::from(instances);
        let allowed = ((2 * m - 1) * bound.0, m * bound.1);
        let peak = (u128::from(peak), u128::from(capacity));
        assert!(at_most(peak, allowed), "seed {seed}: {peak:?} is more than {allowed:?}, weights {weights:?}");
    }
}

#[test]
fn a_refusal_means_that_everybody_is_too_full() {
    let mut refusals = 0;
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let mut case = Case::any(&mut random);
        for index in 0..ASKS {
            let weight = case.any_weight(&mut random);
            let refused = case.ask(index, arrive(weight));
            if refused != Err(Refusal::NoRoom { weight }) {
                continue;
            }
            refusals += 1;
            let mut fitting = 0;
            for (name, member) in &case.members {
                let (capacity, admit) = (member.ledger.capacity.as_milli(), case.settings.admit_below_milli);
                let used = u128::from(member.ledger.charged_milli.max(member.load_milli.unwrap_or(0)));
                // used / capacity > admit_below − weight / capacity
                let full = (used + u128::from(weight.as_milli())) * 1_000 > u128::from(admit) * u128::from(capacity);
                let takes_part = member.ledger.state == LedgerState::Open && !member.suspended;
                assert!(full || !takes_part, "seed {seed}: {name} has room for {weight}: {member:?}");
                fitting +=
                    usize::from(u128::from(weight.as_milli()) * 1_000 <= u128::from(admit) * u128::from(capacity));
            }
            assert!(fitting > 0, "seed {seed}: waiting will not help a weight of {weight}");
        }
    }
    assert!(refusals > 1_000, "{refusals} refusals are too few to say anything");
}

/// For `spread` and `two-choice`: who is chosen would be chosen as well if it were bigger or emptier. For `pack`, as it
/// should be, if it were fuller and had room still.
#[test]
fn who_is_chosen_would_be_chosen_for_more_of_the_same() {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let mut case = Case::any(&mut random);
        for index in 0..ASKS {
            let weight = case.any_weight(&mut random);
            let before = case.clone();
            let Ok(_) = case.ask(index, arrive(weight)) else { continue };
            let home = case.client(index).home.clone();
            let mut better = before;
            let limit = better.limit(&home);
            let member = better.members.get_mut(&home).expect("its home");
            let used = member.ledger.charged_milli.max(member.load_milli.unwrap_or(0));
            match (better.settings.policy, random.percent(50)) {
                (Policy::Pack, _) => {
                    let more = random.between(used, limit.saturating_sub(weight.as_milli()).max(used));
                    member.ledger.charged_milli = member.ledger.charged_milli.max(more);
                }
                (_, true) => member.ledger.charged_milli = random.between(0, member.ledger.charged_milli),
                (_, false) => {
                    let capacity = member.ledger.capacity.as_milli();
                    member.ledger.capacity = books::milli(random.between(capacity, capacity * 3));
                }
            }
            better.ask(index, arrive(weight)).expect("still has room");
            assert_eq!(better.client(index).home, home, "seed {seed}: it has {:?} now", better.members[&home]);
        }
    }
}

/// Any sequence of asks, with instances that are lost, drained, resized and back.
#[test]
fn whatever_is_asked_the_books_stay_right() {
    let mut seen = BTreeSet::new();
    let (mut overflows, mut overweights) = (0, 0);
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let mut case = Case::any(&mut random);
        for _ in 0..ASKS {
            if random.percent(25) {
                case.something_happens(&mut random);
            }
            let (index, wish) = (random.index(12), case.any_wish(&mut random));
            let before = case.clone();
            let decision = case.ask(index, wish.clone());
            if let Ok(Decision::Write(change)) = &decision {
                let (known, after) = (before.clients.get(&key(index)), change.client.as_ref());
                let transition = Transition::of(known, after);
                let phase = |client: Option<&steadfast_core::placement::Placement>| client.map(|client| client.phase);
                let transition =
                    transition.unwrap_or_else(|| panic!("seed {seed}: {known:?} may not become {after:?}"));
                seen.insert((transition, phase(known), phase(after)));
                let overflow = change.notes.iter().any(|note| matches!(note, Note::Overflow { .. }));
                overflows += u32::from(overflow);
                overweights += u32::from(change.notes.iter().any(|note| matches!(note, Note::Overweight { .. })));
                for (name, ledger) in &change.ledgers {
                    let raised = ledger.charged_milli > before.members[name].ledger.charged_milli;
                    let above = ledger.charged_milli > ledger.capacity.as_milli();
                    assert!(!raised || !above || overflow, "seed {seed}: {wish:?} overfills {name}: {ledger:?}");
                }
                let settles = |wish: &Wish| {
                    matches!(wish, Wish::Arrive { .. } | Wish::Report { .. } | Wish::Served { .. } | Wish::Leave { .. })
                };
                if settles(&wish) {
                    assert_eq!(case.ask(index, wish.clone()), Ok(Decision::Keep), "seed {seed}: {wish:?} again");
                }
            } else {
                assert_eq!((&before.members, &before.clients), (&case.members, &case.clients));
            }
            case.check_sums(seed);
        }
    }
    let table: BTreeSet<_> =
        Transition::TABLE.iter().map(|Legal { transition, before, after }| (*transition, *before, *after)).collect();
    assert_eq!(seen, table, "every legal change happens, and no other");
    assert!(overflows > 20 && overweights > 100, "{overflows} overflows, {overweights} overweights");
}

#[test]
fn an_explanation_never_disagrees_with_the_decision() {
    let mut rules = BTreeSet::new();
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let mut case = Case::any(&mut random);
        for _ in 0..ASKS {
            if random.percent(25) {
                case.something_happens(&mut random);
            }
            let index = random.index(12);
            let (weight, labels) = (case.any_weight(&mut random), books::any_labels(&mut random));
            let known = case.clients.get(&key(index)).cloned();
            let explained = explain(case.books(), &key(index), known.as_ref(), Some(weight), &labels);
            let decision = case.ask(index, Wish::Arrive { weight: Some(weight), labels, present: false });
            let decided = decision.map(|_| case.client(index).home.clone());
            assert_eq!(explained.outcome, decided, "seed {seed}");
            rules.insert(format!("{:?}", explained.rule));
            assert_eq!(explained.candidates.len(), case.members.len());
            let chosen = known.is_none_or(|known| decided.as_ref().is_ok_and(|home| *home != known.home));
            let by_ranking = chosen && !matches!(explained.rule, steadfast_core::placement::Rule::HomeBack);
            if let (true, Ok(home)) = (by_ranking, &decided) {
                let best = &explained.candidates[0];
                assert_eq!((&best.instance, best.excluded), (home, None), "seed {seed}: {explained:?}");
            }
            case.something_else(&mut random, index);
        }
    }
    // Every rule is somebody's.
    assert_eq!(rules.len(), 9, "{rules:?}");
}

/// Two-choice draws among those that can be a client's home, so it never refuses where another policy would not.
#[test]
fn the_draw_leaves_nobody_out() {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let instances = random.between(1, 12) as usize;
        let mut case = Case::plain(&vec![1_000; instances], Policy::TwoChoice);
        for index in 0..instances {
            case.ask(index, arrive(books::milli(1_000))).expect("there is room");
            let known = case.clients.get(&key(index));
            let explained = explain(case.books(), &key(index), known, None, &Labels::new());
            let drawn = explained.candidates.iter().filter(|c| c.excluded.is_none()).count();
            let left = explained.candidates.iter().filter(|c| c.excluded == Some(Exclusion::NotDrawn)).count();
            assert_eq!(drawn, (instances - index - 1).min(2), "seed {seed}");
            assert_eq!(left, (instances - index - 1).saturating_sub(2), "seed {seed}");
        }
    }
}

#[test]
fn expiry_goes_by_ticks_alone() {
    let mut case = Case::plain(&[1_000], Policy::Spread);
    case.ask(0, arrive(books::milli(1))).expect("there is room");
    let until = case.client(0).until;
    for tick in [Tick(0), Tick(until.0 - 1)] {
        case.tick = tick;
        assert_eq!(case.ask(0, Wish::Expire), Ok(Decision::Keep));
    }
    case.tick = until;
    case.ask(0, Wish::Expire).expect("it is over");
    assert_eq!((case.client(0).phase, case.members[&id("i0")].ledger.charged_milli), (Phase::Idle, 0));
}
