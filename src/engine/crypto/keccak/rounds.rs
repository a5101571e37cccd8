//! The rounds of `Keccak-f[1600]` (FIPS 202, section 3.2), written once for words of every width.
//!
//! A module that holds a kernel defines its word `V`, how many lanes of 64 bits that has, and a dozen
//! operations on it (`portable` says what each of them is); the macro adds what is done with them. It
//! is a macro and no generic function because the operations belong to processors: code for one of them
//! has to be compiled with its instructions allowed, and that is an attribute of a function.
//!
//! Words that find no register are kept on the stack. The compiler lays them so that none lies across
//! two lines of the cache, but only in a function with a variable that it has to lay so anyway; in
//! others chance has it, and with AVX2 an attempt took 84 or 131 ns, by the depth of the stack. So
//! those with the loops have such a variable (`black_box` sees to it that it stays).
//!
//! A state is 25 words in the order of FIPS 202, row after row: word `x + 5 * y`. Each lane of the
//! words belongs to a state of its own.

/// The constants of the rounds (FIPS 202, section 3.2.5).
pub(super) const CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Defines the permutation and what is done with it, for the word of the module it stands in. Takes
/// the attribute that allows the processor's instructions.
macro_rules! rounds {
    ($(#[$enable:meta])*) => {
        /// What theta adds to the words of each column: the columns beside it.
        $(#[$enable])*
        #[inline]
        fn theta(a: &[V; 25]) -> [V; 5] {
            let c = [
                xor3(xor3(a[0], a[5], a[10]), a[15], a[20]),
                xor3(xor3(a[1], a[6], a[11]), a[16], a[21]),
                xor3(xor3(a[2], a[7], a[12]), a[17], a[22]),
                xor3(xor3(a[3], a[8], a[13]), a[18], a[23]),
                xor3(xor3(a[4], a[9], a[14]), a[19], a[24]),
            ];
            [
                xor_turned(c[4], c[1]),
                xor_turned(c[0], c[2]),
                xor_turned(c[1], c[3]),
                xor_turned(c[2], c[4]),
                xor_turned(c[3], c[0]),
            ]
        }

        /// The first row after theta, rho and pi.
        $(#[$enable])*
        #[inline]
        fn first_row(a: &[V; 25], d: &[V; 5]) -> [V; 5] {
            [
                xor(a[0], d[0]),
                turn_xor::<44, 20>(a[6], d[1]),
                turn_xor::<43, 21>(a[12], d[2]),
                turn_xor::<21, 43>(a[18], d[3]),
                turn_xor::<14, 50>(a[24], d[4]),
            ]
        }

        /// The second row after theta, rho and pi.
        $(#[$enable])*
        #[inline]
        fn second_row(a: &[V; 25], d: &[V; 5]) -> [V; 5] {
            [
                turn_xor::<28, 36>(a[3], d[3]),
                turn_xor::<20, 44>(a[9], d[4]),
                turn_xor::<3, 61>(a[10], d[0]),
                turn_xor::<45, 19>(a[16], d[1]),
                turn_xor::<61, 3>(a[22], d[2]),
            ]
        }

        /// The third row after theta, rho and pi.
        $(#[$enable])*
        #[inline]
        fn third_row(a: &[V; 25], d: &[V; 5]) -> [V; 5] {
            [
                turn_xor::<1, 63>(a[1], d[1]),
                turn_xor::<6, 58>(a[7], d[2]),
                turn_xor::<25, 39>(a[13], d[3]),
                turn_xor::<8, 56>(a[19], d[4]),
                turn_xor::<18, 46>(a[20], d[0]),
            ]
        }

        /// The fourth row after theta, rho and pi.
        $(#[$enable])*
        #[inline]
        fn fourth_row(a: &[V; 25], d: &[V; 5]) -> [V; 5] {
            [
                turn_xor::<27, 37>(a[4], d[4]),
                turn_xor::<36, 28>(a[5], d[0]),
                turn_xor::<10, 54>(a[11], d[1]),
                turn_xor::<15, 49>(a[17], d[2]),
                turn_xor::<56, 8>(a[23], d[3]),
            ]
        }

        /// The fifth row after theta, rho and pi.
        $(#[$enable])*
        #[inline]
        fn fifth_row(a: &[V; 25], d: &[V; 5]) -> [V; 5] {
            [
                turn_xor::<62, 2>(a[2], d[2]),
                turn_xor::<55, 9>(a[8], d[3]),
                turn_xor::<39, 25>(a[14], d[4]),
                turn_xor::<41, 23>(a[15], d[0]),
                turn_xor::<2, 62>(a[21], d[1]),
            ]
        }

        /// Chi: each word takes from the two after it in its row.
        $(#[$enable])*
        #[inline]
        fn chi(b: [V; 5]) -> [V; 5] {
            [
                take(b[0], b[1], b[2]),
                take(b[1], b[2], b[3]),
                take(b[2], b[3], b[4]),
                take(b[3], b[4], b[0]),
                take(b[4], b[0], b[1]),
            ]
        }

        /// Five rows as a state, the first word of which takes the constant of the round.
        $(#[$enable])*
        #[inline]
        fn iota(rows: [[V; 5]; 5], constant: u64) -> [V; 25] {
            let [
                [a, b, c, d, e],
                [f, g, h, i, j],
                [k, l, m, n, o],
                [p, q, r, s, t],
                [u, v, w, x, y],
            ] = rows;
            let a = xor(a, splat(constant));
            [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y]
        }

        /// A round, row by row: so its words are few at a time, and stay in registers.
        $(#[$enable])*
        #[inline]
        fn round(a: &[V; 25], constant: u64) -> [V; 25] {
            let d = theta(a);
            let rows = [
                chi(first_row(a, &d)),
                chi(second_row(a, &d)),
                chi(third_row(a, &d)),
                chi(fourth_row(a, &d)),
                chi(fifth_row(a, &d)),
            ];
            iota(rows, constant)
        }

        /// The same words in every lane. (The map of an array is a function of the language's, for
        /// every processor: words of this one would go to it and come back through memory.)
        $(#[$enable])*
        #[inline]
        fn splat_row(row: &[u64; 5]) -> [V; 5] {
            [splat(row[0]), splat(row[1]), splat(row[2]), splat(row[3]), splat(row[4])]
        }

        /// The first round of a block with these nonces, from the rows that it has after pi with a
        /// nonce of zero. Theta has brought word 7 to two more columns: eleven words depend on it.
        $(#[$enable])*
        #[inline]
        fn first_round(known: &[[u64; 5]; 5], nonce: V, constant: u64) -> [V; 25] {
            let [first, second, third, fourth, fifth] = known;
            let (mut first, mut second) = (splat_row(first), splat_row(second));
            let (mut third, mut fourth) = (splat_row(third), splat_row(fourth));
            let mut fifth = splat_row(fifth);
            third[1] = xor(third[1], turn::<6, 58>(nonce));
            // The column before its own took it turned by a bit, which adds to the turns of rho.
            first[1] = xor(first[1], turn::<45, 19>(nonce));
            second[3] = xor(second[3], turn::<46, 18>(nonce));
            third[0] = xor(third[0], turn::<2, 62>(nonce));
            fourth[2] = xor(fourth[2], turn::<11, 53>(nonce));
            fifth[4] = xor(fifth[4], turn::<3, 61>(nonce));
            // The column after its own took it as it is.
            first[3] = xor(first[3], turn::<21, 43>(nonce));
            second[0] = xor(second[0], turn::<28, 36>(nonce));
            third[2] = xor(third[2], turn::<25, 39>(nonce));
            fourth[4] = xor(fourth[4], turn::<56, 8>(nonce));
            fifth[1] = xor(fifth[1], turn::<55, 9>(nonce));
            iota([chi(first), chi(second), chi(third), chi(fourth), chi(fifth)], constant)
        }

        /// Word 0 after the last round.
        $(#[$enable])*
        #[inline]
        fn last_round(a: &[V; 25], constant: u64) -> V {
            // Nothing else is asked for, so the compiler leaves out what the other words would need.
            let [word, ..] = chi(first_row(a, &theta(a)));
            xor(word, splat(constant))
        }

        /// Goes through the batches of a sweep until one has a lane with all bits zero that should
        /// be.
        $(#[$enable])*
        pub(super) fn scan(sweep: &super::Sweep) -> Option<super::Sighting> {
            let super::Sweep { block: _, known, zeros, from, batches } = sweep;
            let [first, middle @ .., last] = &super::rounds::CONSTANTS;
            let zeros = splat(*zeros);
            core::hint::black_box(&mut splat(0)); // See the top of this file.
            for batch in 0..*batches {
                let nonce = nonces(from.wrapping_add(batch.wrapping_mul(super::lanes(LANES))));
                let mut a = first_round(known, nonce, *first);
                // Two rounds a turn: what one leaves in its registers the next takes from there.
                for [odd, even] in middle.as_chunks::<2>().0 {
                    a = round(&a, *odd);
                    a = round(&a, *even);
                }
                let lanes = zero_lanes(last_round(&a, *last), zeros);
                if lanes != 0 {
                    return Some(super::Sighting { batch, lanes });
                }
            }
            None
        }

        /// Keccak-256 of each group of as many messages as there are lanes; those of a group have
        /// one length. What is left over at the end is left out.
        $(#[$enable])*
        pub(super) fn hash(messages: &[&[u8]], digests: &mut Vec<[u8; 32]>) {
            core::hint::black_box(&mut splat(0)); // See the top of this file.
            for group in messages.as_chunks::<LANES>().0 {
                let mut state = [splat(0); 25];
                for at in 0..super::sponge::blocks(group) {
                    let words = super::sponge::words_of_block(group, at);
                    for (word, lanes) in state.iter_mut().zip(words) {
                        *word = xor(*word, load(lanes));
                    }
                    for [odd, even] in super::rounds::CONSTANTS.as_chunks::<2>().0 {
                        state = round(&state, *odd);
                        state = round(&state, *even);
                    }
                }
                let [first, second, third, fourth, ..] = state;
                let words = [store(first), store(second), store(third), store(fourth)];
                digests.extend(super::sponge::digests(&words));
            }
        }
    };
}

pub(super) use rounds;
