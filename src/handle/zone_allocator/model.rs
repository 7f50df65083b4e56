//! The allocator held against one that is too simple to be wrong.

use std::ops::RangeInclusive;

use super::{ZoneAllocator, ZoneSet, ZoneState};
use crate::error::Error;
use crate::model::input::InputError;

/// Every zone of the range by itself, and the order of releases.
struct Model {
    zones: Vec<(u16, ZoneState)>,
    released: Vec<u16>,
}

impl Model {
    fn state(&mut self, zone: u16) -> Option<&mut ZoneState> {
        self.zones.iter_mut().find(|(id, _)| *id == zone).map(|(_, state)| state)
    }

    fn is(&mut self, zone: u16, states: &[ZoneState]) -> bool {
        self.state(zone).is_some_and(|state| states.contains(state))
    }

    fn take(&mut self, zone: u16) {
        *self.state(zone).expect("in the range") = ZoneState::Allocated;
        self.released.retain(|released| *released != zone);
    }

    fn next(&mut self) -> Option<u16> {
        let free = |zones: &[(u16, ZoneState)]| {
            zones.iter().filter(|(_, state)| *state == ZoneState::Free).map(|(id, _)| *id).collect::<Vec<_>>()
        };
        let free = free(&self.zones);
        let new = free.iter().find(|zone| !self.released.contains(zone)).copied();
        new.or_else(|| self.released.iter().find(|zone| free.contains(zone)).copied())
    }
}

/// Marsaglia's xorshift: the same numbers in every run.
fn chance(state: &mut u64, end: u16) -> u16 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    ((*state >> 11) % u64::from(end)) as u16
}

/// Runs a few hundred calls by chance; how many zones were allocated, and how often there was none.
fn play(seed: u64, range: RangeInclusive<u16>) -> (u32, u32) {
    let mut state = seed;
    let first = *range.start();
    let mut draw = |end| chance(&mut state, end);
    // Some lie outside the range.
    let near = |number: u16| first.saturating_sub(2).saturating_add(number);
    let (in_use, reserved) = (near(draw(8)), near(draw(8)));
    let mut model = Model { zones: Vec::new(), released: Vec::new() };
    for zone in range.clone() {
        let state = match zone {
            _ if zone == reserved || zone == 0 => ZoneState::Reserved,
            _ if zone == in_use => ZoneState::InUse,
            _ => ZoneState::Free,
        };
        model.zones.push((zone, state));
    }
    let mut zones = ZoneAllocator::new(range, ZoneSet::from_iter([in_use])).expect("a range");
    zones = zones.reserve([reserved]);
    let (mut allocated, mut exhausted) = (0, 0);
    for _ in 0..400 {
        let zone = near(draw(16));
        match draw(8) {
            0..=3 => match (zones.allocate(), model.next()) {
                (Ok(found), Some(expected)) => {
                    assert_eq!(found, expected);
                    model.take(found);
                    allocated += 1;
                }
                (Err(Error::ZonesExhausted { allocated, in_use, reserved, .. }), None) => {
                    assert_eq!((allocated + in_use + reserved) as usize, model.zones.len());
                    exhausted += 1;
                }
                (found, expected) => panic!("{found:?}, not {expected:?}"),
            },
            4 => {
                let expected = model.is(zone, &[ZoneState::Free]);
                assert_eq!(zones.allocate_exact(zone).is_ok(), expected, "{zone}");
                if expected {
                    model.take(zone);
                }
            }
            5 => {
                let expected = model.is(zone, &[ZoneState::Free, ZoneState::InUse]);
                assert_eq!(zones.adopt(zone).is_ok(), expected, "{zone}");
                if expected {
                    model.take(zone);
                }
            }
            _ => {
                assert_eq!(zones.is_allocated(zone), model.is(zone, &[ZoneState::Allocated]));
                if zones.is_allocated(zone) {
                    zones.give_back(zone);
                    *model.state(zone).expect("in the range") = ZoneState::Free;
                    model.released.push(zone);
                }
            }
        }
        for (zone, state) in &model.zones {
            assert_eq!(zones.state(*zone), *state, "{zone}");
        }
    }
    (allocated, exhausted)
}

#[test]
fn an_allocator_is_as_good_as_a_list() {
    let (mut allocated, mut exhausted) = (0, 0);
    for seed in 1..=60 {
        for range in [0..=7, 1..=1, 60..=70, 100..=120, 65_530..=65_535] {
            let (some, none) = play(seed * 0x9e37_79b9, range);
            allocated += some;
            exhausted += none;
        }
    }
    // The test would be worth nothing if either never happened.
    assert!(allocated > 10_000 && exhausted > 10_000, "{allocated} allocated, {exhausted} times exhausted");
}

/// The zones that Neutron's allocator mistook, handing out 4097 a second time.
#[test]
fn zones_in_use_are_never_given_out() {
    let used = [10, 4097, 65_535];
    let mut zones = ZoneAllocator::new(1..=65_535, used.into_iter().collect()).expect("a range");
    let mut expected: Vec<u16> = (1..=65_535).filter(|zone| !used.contains(zone)).collect();
    let all: Vec<u16> = std::iter::from_fn(|| zones.allocate().ok()).collect();
    assert_eq!(all, expected, "all but those, each once, lowest first");
    let none =
        Err(Error::ZonesExhausted { first: 1, last: 65_535, allocated: 65_532, in_use: 3, reserved: 0 });
    assert_eq!(zones.allocate(), none);
    for zone in used {
        let state = ZoneState::InUse;
        assert_eq!(zones.allocate_exact(zone), Err(InputError::ZoneNotFree { zone, state }));
        assert_eq!(zones.adopt(zone), Ok(()));
    }
    // As long as there is one that was not used yet, none comes back; then the first released.
    for zone in [4098, 9, 65_535, 4097] {
        zones.give_back(zone);
    }
    expected = vec![4098, 9, 65_535, 4097];
    assert_eq!(std::iter::from_fn(|| zones.allocate().ok()).collect::<Vec<_>>(), expected);
}

#[test]
fn zone_0_is_never_given_out() {
    let mut zones = ZoneAllocator::new(0..=1, ZoneSet::new()).expect("a range");
    assert_eq!(zones.allocate(), Ok(1));
    let none = Err(Error::ZonesExhausted { first: 0, last: 1, allocated: 1, in_use: 0, reserved: 1 });
    assert_eq!(zones.allocate(), none);
    let reserved = InputError::ZoneNotFree { zone: 0, state: ZoneState::Reserved };
    assert_eq!(zones.allocate_exact(0), Err(reserved.clone()));
    assert_eq!(zones.adopt(0), Err(reserved.clone()));
    // Not even where it is all there is.
    let mut zones = ZoneAllocator::new(0..=0, ZoneSet::new()).expect("a range");
    assert!(matches!(zones.allocate(), Err(Error::ZonesExhausted { reserved: 1, .. })));
}

#[test]
fn a_range_has_a_zone_at_least() {
    let mut walked = 5..=5;
    walked.next();
    #[expect(clippy::reversed_empty_ranges, reason = "what is tested")]
    for range in [5..=4, 65_535..=0, walked] {
        assert_eq!(ZoneAllocator::new(range, ZoneSet::new()).err(), Some(InputError::EmptyRange));
    }
}

/// Reserving what is allocated takes effect with its release.
#[test]
fn what_is_allocated_stays_so_when_it_is_reserved() {
    let mut zones = ZoneAllocator::new(7..=8, ZoneSet::new()).expect("a range");
    assert_eq!(zones.allocate(), Ok(7));
    zones = zones.reserve(0..=7);
    assert_eq!((zones.state(7), zones.state(6)), (ZoneState::Allocated, ZoneState::Outside));
    zones.give_back(7);
    assert_eq!(zones.state(7), ZoneState::Reserved);
    assert_eq!(zones.allocate(), Ok(8));
    assert!(zones.allocate().is_err());
}

#[test]
fn an_allocator_can_go_to_another_thread() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<ZoneAllocator>();
}
