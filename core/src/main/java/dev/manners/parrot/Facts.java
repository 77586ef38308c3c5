package dev.manners.parrot;

import dev.manners.parrot.Subject.Fact;
import dev.manners.parrot.Subject.Sum;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/// What is true in a world, and which of it demonstrations may show.
///
/// @param byKey   every fact, by place and its attribute's main noun
/// @param unshown facts that no demonstration shows, the same share of every attribute
/// @param unshownSums sums that no demonstration shows
record Facts(
        List<String> places,
        List<Attribute> attributes,
        Map<Key, Fact> byKey,
        Set<Fact> unshown,
        Set<Sum> unshownSums) {

    record Key(String place, String noun) {}

    private static final int UNSHOWN_SUMS_PERCENT = 30;

    static Facts create(long seed, Settings settings) {
        List<String> places = Dice.of(seed, Dice.Stream.PLACES, 0).shuffled(Lexicon.PLACES).stream()
                .limit(settings.places())
                .toList();
        List<Attribute> attributes = Lexicon.ATTRIBUTES.subList(0, settings.attributes());
        Map<Key, Fact> byKey = new HashMap<>();
        Set<Fact> unshown = new HashSet<>();
        // At least one fact of an attribute is shown and one is not, so that both kinds of prompt exist.
        int apart = Math.clamp(Math.round(places.size() * settings.unshownPercent() / 100f), 1, places.size() - 1);
        for (int a = 0; a < attributes.size(); a++) {
            String noun = attributes.get(a).noun();
            // Dealt like cards, so that every value belongs to about as many places as any other.
            Dice dealer = Dice.of(seed, Dice.Stream.VALUES, a);
            List<String> deck = new ArrayList<>();
            List<Fact> dealt = new ArrayList<>();
            for (String place : places) {
                if (deck.isEmpty()) {
                    deck = dealer.shuffled(attributes.get(a).values());
                }
                dealt.add(new Fact(place, noun, deck.removeLast()));
            }
            dealt.forEach(fact -> byKey.put(new Key(fact.place(), noun), fact));
            unshown.addAll(Dice.of(seed, Dice.Stream.UNSHOWN, a).shuffled(dealt).subList(0, apart));
        }
        List<Sum> sums = Dice.of(seed, Dice.Stream.UNSHOWN, attributes.size()).shuffled(allSums());
        Set<Sum> unshownSums = Set.copyOf(sums.subList(0, sums.size() * UNSHOWN_SUMS_PERCENT / 100));
        return new Facts(places, attributes, byKey, unshown, unshownSums);
    }

    Fact of(String place, Attribute attribute) {
        return Objects.requireNonNull(byKey.get(new Key(place, attribute.noun())), "not of this world");
    }

    /// Place by place.
    List<Fact> all() {
        return places.stream()
                .flatMap(place -> attributes.stream().map(attribute -> of(place, attribute)))
                .toList();
    }

    Attribute attribute(Fact fact) {
        return attributes.stream()
                .filter(attribute -> attribute.noun().equals(fact.attribute()))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no attribute of this world: " + fact));
    }

    static List<Sum> allSums() {
        List<Sum> sums = new ArrayList<>();
        for (int left = 1; left <= Lexicon.LARGEST_LEFT; left++) {
            for (int right = 1; right <= Lexicon.LARGEST_RIGHT; right++) {
                sums.add(new Sum(left, right));
            }
        }
        return sums;
    }
}
