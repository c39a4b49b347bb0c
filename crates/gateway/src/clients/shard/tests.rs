use std::collections::HashMap;

use super::*;

fn entry(version: u64) -> Entry {
    Entry {
        version,
        home: (version % 7) as u32,
        epoch: Epoch(version % 5 + 1),
        phase: Phase::Active,
        until: Tick(version),
        declared: Weight::from_milli(version).unwrap(),
        returns: version.is_multiple_of(3),
    }
}

fn hash(number: u64) -> Hash {
    // Spread as a hash is: the multiplier of Fibonacci hashing.
    Hash(number.wrapping_mul(0x9E37_79B9_7F4A_7C15), number)
}

fn slot(number: u64) -> Slot {
    Slot::new(hash(number), &entry(number)).unwrap()
}

#[test]
fn a_slot_holds_what_was_put_in() {
    for phase in [Phase::Reserved, Phase::Active, Phase::Idle] {
        for until in [Tick(0), Tick(u64::from(u32::MAX) - 1), Tick::NEVER] {
            for declared in [Weight::ONE, Weight::MAX] {
                let entry = Entry {
                    version: u64::MAX,
                    home: MOST_HOMES - 1,
                    epoch: Epoch(u64::from(u32::MAX)),
                    phase,
                    until,
                    declared,
                    returns: until == Tick::NEVER,
                };
                let mut slot = Slot::new(hash(1), &entry).unwrap();
                assert!(slot.ask() && !slot.ask() && slot.is_asked());
                slot.meet();
                assert_eq!(slot.entry(), entry);
                slot.answered();
                assert!(!slot.is_asked());
                slot.declare(Weight::ONE);
                assert_eq!(slot.entry(), Entry { declared: Weight::ONE, ..entry });
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_not_put_in() {
    let fits = entry(1);
    for bad in [
        Entry { home: MOST_HOMES, ..fits },
        Entry { epoch: Epoch(1 << 32), ..fits },
        Entry { until: Tick(u64::from(u32::MAX)), ..fits },
        Entry { until: Tick(u64::MAX - 1), ..fits },
    ] {
        assert!(Slot::new(hash(1), &bad).is_none(), "{bad:?}");
    }
}

/// Against a map that cannot be wrong, with hashes that collide and wrap around the end.
#[test]
fn it_finds_what_is_there_and_nothing_else() {
    let mut shard = Shard::default();
    let mut model: HashMap<u64, u64> = HashMap::new();
    let mut random = 1_u64;
    for step in 0..40_000_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = (random >> 33) % 600;
        // A third of all lie at the very end of the array.
        let hash = if number.is_multiple_of(3) { Hash(u64::MAX - number % 5, number) } else { hash(number) };
        if (random >> 20).is_multiple_of(3) {
            assert_eq!(shard.remove(hash), model.remove(&number).is_some());
        } else if let Some(known) = shard.find(hash) {
            *known = Slot::new(hash, &entry(step)).unwrap();
            model.insert(number, step);
        } else {
            assert_eq!(shard.insert(Slot::new(hash, &entry(step)).unwrap(), usize::MAX), 0);
            model.insert(number, step);
        }
        assert_eq!(shard.len(), model.len());
        let found = shard.find(hash).map(|slot| slot.version());
        assert_eq!(found, model.get(&number).copied());
    }
    for (number, version) in &model {
        let hash = if number.is_multiple_of(3) { Hash(u64::MAX - number % 5, *number) } else { hash(*number) };
        assert_eq!(shard.find(hash).map(|slot| slot.entry()), Some(entry(*version)));
    }
}

#[test]
fn it_is_full_enough_at_every_size() {
    assert_eq!(size_of::<Slot>(), 40);
    let mut shard = Shard::default();
    for number in 1..=20_000 {
        shard.insert(slot(number), usize::MAX);
        if number > 100 {
            let bytes = shard.bytes() as f64 / number as f64;
            assert!(bytes < 61.0, "{bytes} bytes a client at {number}");
        }
    }
}

#[test]
fn a_full_one_takes_a_client_for_a_client_and_spares_those_who_come() {
    let mut shard = Shard::default();
    let most = 1_000;
    assert_eq!((1..=1_000).map(|number| shard.insert(slot(number), most)).sum::<usize>(), 0);
    // Nobody has come yet, but these five hundred.
    for number in 1..=500 {
        shard.find(hash(number)).unwrap().meet();
    }
    assert_eq!((1_001..=1_300).map(|number| shard.insert(slot(number), most)).sum::<usize>(), 300);
    assert_eq!(shard.len(), most);
    let spared = (1..=500).filter(|number| shard.find(hash(*number)).is_some()).count();
    let others = (501..=1_000).filter(|number| shard.find(hash(*number)).is_some()).count();
    assert!(spared > 450 && others < 350, "{spared} of those who came are left, {others} of the others");
    assert!(shard.lost > 500, "what made room may have been newer than an answer under way: {}", shard.lost);
    // All have come: one must go all the same.
    (1..=1_300).for_each(|number| {
        if let Some(slot) = shard.find(hash(number)) {
            slot.meet();
        }
    });
    assert_eq!(shard.insert(slot(5_000), most), 1);
}

#[test]
fn what_is_cleared_is_another_generation() {
    let mut shard = Shard::default();
    shard.insert(slot(1), 10);
    shard.remove(hash(1));
    assert_eq!((shard.lost, shard.generation), (1, 0));
    shard.insert(slot(2), 10);
    assert_eq!(shard.clear(), 1);
    assert_eq!((shard.len(), shard.lost, shard.generation), (0, 0, 1));
    assert!(shard.find(hash(2)).is_none());
}
