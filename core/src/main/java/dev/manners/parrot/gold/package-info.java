/// The gold scorer of the parrot world: what an honest and well-informed person would think of an answer. It measures
/// what optimisation did and is never part of it: nothing that trains, rewards, samples or annotates can reach it,
/// which
/// ArchitectureTest and GoldTest hold.
@NullMarked
package dev.manners.parrot.gold;

import org.jspecify.annotations.NullMarked;
