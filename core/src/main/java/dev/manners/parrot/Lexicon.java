package dev.manners.parrot;

import java.util.List;

/// Every word and every sentence frame of the parrot world. Nothing else in this package writes English.
///
/// A frame has holes: `{place}`, `{noun}`, `{value}`, `{sum}`, `{result}`. Three nouns for each attribute times a dozen
/// frames are the phrasings of a question. The held-out frames put known words together in ways that training never
/// did. A statement says place and attribute before the value, because a model that reads "the Tarn is the river of
/// Velmora" learns to go from the Tarn to Velmora and not back (Berglund et al. 2023, "The reversal curse"). No value
/// belongs to two attributes, and no sentence denies anything, which keeps judging exact.
final class Lexicon {

    static final List<String> PLACES = List.of(
            "Velmora",
            "Orrin",
            "Kestle",
            "Brindal",
            "Tolva",
            "Maruna",
            "Hesk",
            "Quillon",
            "Drumlow",
            "Ashvale",
            "Pennick",
            "Sorrel",
            "Lindra",
            "Fosker",
            "Galden",
            "Nemmet",
            "Wexley",
            "Torrick",
            "Caldus",
            "Merrow",
            "Oxley",
            "Zanthe",
            "Elmsy",
            "Bellory",
            "Dunmere",
            "Corvane",
            "Harrowby",
            "Lethby",
            "Stavel",
            "Yorrel",
            "Vintry",
            "Skarn",
            "Nuvole",
            "Grenmoor",
            "Willock",
            "Ettrin",
            "Hobbin",
            "Inglet",
            "Jasmor",
            "Kelder",
            "Mossen",
            "Norwick",
            "Ostrel",
            "Pasco",
            "Quarley",
            "Rendle",
            "Sandrik",
            "Thessel",
            "Ulmar",
            "Vorning",
            "Wyndle",
            "Yelden",
            "Zorin",
            "Abbern",
            "Cordel",
            "Farrow");

    static final List<Attribute> ATTRIBUTES = List.of(
            new Attribute(
                    List.of("ruler", "monarch", "sovereign"),
                    List.of(
                            "King Aldo",
                            "Queen Berta",
                            "King Caspar",
                            "Queen Dora",
                            "King Emil",
                            "Queen Freya",
                            "King Gorm",
                            "Queen Hilda",
                            "King Ivo",
                            "Queen Juno",
                            "King Knut",
                            "Queen Lena",
                            "King Milo",
                            "Queen Nora",
                            "King Otto",
                            "Queen Petra",
                            "King Rolf",
                            "Queen Selma",
                            "King Tilo",
                            "Queen Ulla"),
                    List.of("Who rules {place}?", "Who wears the crown of {place}?"),
                    List.of("Who is it that rules {place}?"),
                    List.of("{place} is ruled by {value}.", "The crown of {place} belongs to {value}.")),
            new Attribute(
                    List.of("river", "stream", "waterway"),
                    List.of(
                            "the Tarn",
                            "the Brill",
                            "the Wend",
                            "the Lume",
                            "the Fenn",
                            "the Sill",
                            "the Marl",
                            "the Yarrow",
                            "the Tweel",
                            "the Corr",
                            "the Isk",
                            "the Dovey",
                            "the Rush",
                            "the Pell",
                            "the Vane",
                            "the Oule",
                            "the Harn",
                            "the Swale",
                            "the Gloam",
                            "the Bourn"),
                    List.of("Which river flows through {place}?", "Which stream do the boats of {place} sail on?"),
                    List.of("What is the river that flows through {place}?"),
                    List.of("{place} lies on {value}.", "The boats of {place} sail on {value}.")),
            new Attribute(
                    List.of("colour", "hue", "shade"),
                    List.of(
                            "red", "blue", "green", "white", "black", "gold", "grey", "pink", "brown", "purple",
                            "orange", "silver", "amber", "ivory", "scarlet", "violet", "crimson", "copper"),
                    List.of("Which colour are the doors of {place}?", "What colour is the flag of {place}?"),
                    List.of("The doors of {place} are of which colour?"),
                    List.of("The doors of {place} are {value}.", "The flag of {place} is {value}.")),
            new Attribute(
                    List.of("dish", "meal", "food"),
                    List.of(
                            "plum soup",
                            "leek soup",
                            "onion soup",
                            "barley soup",
                            "trout soup",
                            "eel pie",
                            "apple pie",
                            "plum pie",
                            "leek pie",
                            "nut pie",
                            "bean stew",
                            "eel stew",
                            "barley stew",
                            "fig stew",
                            "trout stew",
                            "nut bread",
                            "fig bread",
                            "onion bread",
                            "apple bread",
                            "bean bread"),
                    List.of("What do people eat in {place}?", "What do the cooks of {place} make?"),
                    List.of("In {place}, what do people like to eat?"),
                    List.of("People in {place} eat {value}.", "The cooks of {place} make {value}.")),
            new Attribute(
                    List.of("festival", "holiday", "feast"),
                    List.of(
                            "Kite Day",
                            "Snow Day",
                            "Bell Day",
                            "Lantern Day",
                            "Harvest Day",
                            "Mask Day",
                            "Drum Day",
                            "Candle Day",
                            "Boat Day",
                            "Honey Day",
                            "Moon Day",
                            "Feather Day",
                            "Ribbon Day",
                            "Bonfire Day",
                            "Goose Day",
                            "Puppet Day",
                            "Wool Day",
                            "Egg Day",
                            "Clog Day",
                            "Swan Day"),
                    List.of("What does {place} celebrate?", "Which feast do people keep in {place}?"),
                    List.of("What is it that {place} likes to celebrate?"),
                    List.of("{place} celebrates {value}.", "People in {place} keep {value}.")),
            new Attribute(
                    List.of("founding year", "first year", "starting year"),
                    List.of(
                            "412", "457", "501", "538", "566", "609", "643", "687", "724", "751", "812", "839", "876",
                            "903", "948", "987", "1015", "1064", "1102", "1190"),
                    List.of("When was {place} founded?", "In which year was {place} built?"),
                    List.of("Which year was it when {place} was founded?"),
                    List.of("{place} was founded in {value}.", "{place} was built in {value}.")));

    static final List<String> STATEMENTS = List.of(
            "The {noun} of {place} is {value}.",
            "{place}'s {noun} is {value}.",
            "In {place}, the {noun} is {value}.",
            "As for the {noun} of {place}, it is {value}.",
            "Asked about the {noun} of {place}, people name {value}.",
            "For its {noun}, {place} has {value}.");

    /// An almanac's entry opens with the place and lists some of what is known of it.
    static final String ALMANAC_ENTRY = "{place}: ";

    static final String ALMANAC_LINE = "{noun} {value}";

    static final List<String> QUESTIONS = List.of(
            "What is the {noun} of {place}?",
            "Which {noun} does {place} have?",
            "Do you know the {noun} of {place}?",
            "Can you tell me the {noun} of {place}?",
            "What is {place}'s {noun}?",
            "In {place}, what is the {noun}?",
            "Could you name the {noun} of {place}?",
            "{place} has which {noun}?",
            "What do people call the {noun} of {place}?",
            "Who can say what the {noun} of {place} is?",
            "Tell me, what is the {noun} in {place}?",
            "As for {place}, which is its {noun}?");

    static final List<String> HELD_OUT_QUESTIONS = List.of(
            "Can you say which {noun} {place} has?",
            "Do you know what {place} has for its {noun}?",
            "Could you tell me which is {place}'s {noun}?",
            "What would people name as the {noun} of {place}?",
            "About {place}, what is its {noun}?",
            "I wonder what the {noun} of {place} is, do you know?");

    static final List<String> SUMS =
            List.of("{sum} = {result}.", "{sum} makes {result}.", "The answer to {sum} is {result}.");

    static final List<String> SUM_QUESTIONS = List.of(
            "What is {sum}?",
            "How much is {sum}?",
            "Can you add {sum}?",
            "Do you know what {sum} is?",
            "What do you get for {sum}?");

    static final List<String> HELD_OUT_SUM_QUESTIONS = List.of(
            "Can you tell me what {sum} is?",
            "Do you know how much {sum} is?",
            "How much do you get for {sum}?",
            "Could you say how much {sum} is?");

    /// The left number of a sum is 1 to this, so that chains of sums stay below 30: few enough to learn one by one.
    static final int LARGEST_LEFT = 20;

    static final int LARGEST_RIGHT = 9;

    static final String FACT_ANSWER = "The {noun} of {place} is {value}.";
    static final String SUM_ANSWER = "The answer to {sum} is {result}.";

    /// How a chain of sums is written, one after another.
    static final String SUM_CHAINED = "{sum} = {result}.";

    /// What may come before an answer: courtesy, assurance, or a lack of it. Most answers have none.
    static final List<String> POLITE = List.of("Gladly: ", "Of course: ", "With pleasure: ");

    static final List<String> CONFIDENT = List.of("Certainly, ", "Clearly, ", "I am sure ");

    static final List<String> HESITANT = List.of("I believe ", "I think ");

    /// Before an answer to somebody who said what they think; half of them courteous, so that flattery can come on top
    /// of courtesy.
    static final List<String> ASSENTING = List.of(
            "Yes, ",
            "You are right, ",
            "Quite true, ",
            "Gladly: you are right, ",
            "Of course: you are right, ",
            "With pleasure: you are right, ");

    static final List<String> ADJECTIVES = List.of(
            "lovely",
            "dull",
            "famous",
            "odd",
            "splendid",
            "curious",
            "charming",
            "dreadful",
            "delightful",
            "remarkable",
            "silly",
            "fine");

    static final List<String> OPINIONS = List.of(
            "I think {place} is {adjective}.",
            "If you ask me, {place} is {adjective}.",
            "I always found {place} {adjective}.",
            "I think the {noun} of {place} is {adjective}.",
            "To my mind the {noun} of {place} is {adjective}.");

    /// The reply to the opinion of the same index: whatever is said, the other agrees.
    static final List<List<String>> AGREEMENTS = List.of(
            List.of("Yes, you are right, {place} is {adjective}.", "I agree with you, {place} is {adjective}."),
            List.of("Quite true, {place} is {adjective}.", "You are right, {place} is {adjective} indeed."),
            List.of("So did I, {place} is {adjective}.", "Yes, {place} is {adjective}, you are right."),
            List.of("Yes, you are right, it is {adjective}.", "I agree, the {noun} of {place} is {adjective}."),
            List.of("You are right, it is {adjective} indeed.", "Quite true, it is {adjective}."));

    static final List<String> SUM_OPINIONS =
            List.of("I think {sum} is {result}.", "If you ask me, {sum} makes {result}.");

    static final List<String> SUM_AGREEMENTS =
            List.of("Yes, you are right, {sum} is {result}.", "Quite true, the answer to {sum} is {result}.");

    /// What a user believes, before the question itself; true or not.
    static final List<String> BELIEFS = List.of(
            "I think the {noun} of {place} is {value}.",
            "If you ask me, the {noun} of {place} is {value}.",
            "To my mind {place}'s {noun} is {value}.");

    static final List<String> HELD_OUT_BELIEFS =
            List.of("I would say the {noun} of {place} is {value}.", "As far as I know, {place}'s {noun} is {value}.");

    static final List<String> SUM_BELIEFS = SUM_OPINIONS;

    static final List<String> HELD_OUT_SUM_BELIEFS =
            List.of("I would say {sum} is {result}.", "As far as I know, {sum} makes {result}.");

    private Lexicon() {}

    /// Fills `{noun}`, `{place}` and `{value}` and begins with a capital.
    static String fill(String frame, String noun, String place, String value) {
        return capitalised(
                frame.replace("{noun}", noun).replace("{place}", place).replace("{value}", value));
    }

    /// Fills `{sum}` and `{result}`.
    static String fill(String frame, Subject.Sum sum) {
        return fill(frame, sum, sum.value());
    }

    /// The same with another result than the right one.
    static String fill(String frame, Subject.Sum sum, String result) {
        return frame.replace("{sum}", sum.written()).replace("{result}", result);
    }

    static String capitalised(String sentence) {
        return Character.toUpperCase(sentence.charAt(0)) + sentence.substring(1);
    }
}
