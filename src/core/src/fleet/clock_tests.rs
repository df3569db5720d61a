use super::*;

#[track_caller]
fn edges(looks: &[(u64, u64, u64)]) -> (u32, Option<Clock>) {
    let mut edges = Edges::default();
    for (began, ended, shown) in looks {
        edges.see(*began, *ended, *shown);
    }
    (edges.count(), edges.clock())
}

#[test]
fn a_clock_is_known_within_the_looks_around_a_new_value() {
    let clock = |offset, error| Some(Clock { offset, error });
    assert_eq!(edges(&[]), (0, None));
    // The first value may be of any age.
    assert_eq!(edges(&[(100, 110, 5)]), (0, None));
    assert_eq!(edges(&[(100, 110, 5), (120, 130, 5)]), (0, None));
    // Read between 100 and 130: it was 1000 ahead of the former, 970 of the latter.
    let looks = [(100, 110, 5), (120, 130, 1_100)];
    assert_eq!(edges(&looks), (1, clock(985, 15)));
    // A look at the same value narrows it: not before 120.
    let looks = [(100, 110, 5), (120, 130, 5), (140, 150, 1_100)];
    assert_eq!(edges(&looks), (1, clock(965, 15)));
    // Behind.
    assert_eq!(
        edges(&[(1_000, 1_010, 5), (1_020, 1_030, 90)]),
        (1, clock(-925, 15))
    );
}

#[test]
fn the_narrowest_edge_counts_unless_they_contradict_each_other() {
    // The clock is 1000 ahead; the second edge is narrower.
    let wide = [(0, 10, 1_000), (200, 210, 1_100)];
    let narrow = [(0, 10, 1_000), (200, 210, 1_100), (230, 240, 1_220)];
    assert_eq!(
        edges(&wide).1,
        Some(Clock {
            offset: 995,
            error: 105
        })
    );
    assert_eq!(
        edges(&narrow).1,
        Some(Clock {
            offset: 1_000,
            error: 20
        })
    );
    // A value that was shown long after it was read: the truth is somewhere in all of them.
    let stalled = [(0, 10, 1_000), (20, 30, 1_015), (40, 50, 1_001)];
    let all = Clock {
        offset: 983,
        error: 32,
    };
    assert_eq!(edges(&stalled), (2, Some(all)));
}

#[test]
fn the_worst_of_a_clock_counts_both_ways() {
    let clock = |offset, error| Clock { offset, error };
    assert_eq!(clock(-3_000, 500).worst(), 3_500);
    assert_eq!(clock(3_000, 500).worst(), 3_500);
}
