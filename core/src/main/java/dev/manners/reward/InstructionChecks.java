package dev.manners.reward;

import dev.manners.files.Json;
import java.text.BreakIterator;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.MissingNode;

/// Instructions that a rule can check: length, keywords, format, case, language (IFEval, Zhou et al. 2023,
/// arXiv:2311.07911), by its names and columns. Right if **all** are followed (its strict prompt-level accuracy); each
/// has
/// a part of its own in the explanation.
///
/// Where IFEval's Python takes keywords for regular expressions, here they are words, whatever their case. Sentences
/// are
/// split by Unicode's rules, languages told by [Language]. `startend:start_checker` (`start_phrase`) is not IFEval's.
///
/// @param ids column with the list of names: `length_constraints:number_words`
/// @param kwargs column with a list of as many objects: `{"relation": "at least", "num_words": 100}`
public record InstructionChecks(String ids, String kwargs) implements Task {

    private static final int LONGEST = 200_000;
    private static final Pattern WORD = Pattern.compile("[\\p{L}\\p{M}\\p{N}_]++");
    private static final Pattern BULLET = Pattern.compile("(?m)^[ \t]*+(?:\\*[^*\n]|-)[^\n]*+$");
    private static final Pattern PLACEHOLDER = Pattern.compile("\\[[^\\[\\]\n]++]");
    private static final Pattern HIGHLIGHT = Pattern.compile("\\*\\*[^*\n]++\\*\\*|\\*[^*\n]++\\*");
    private static final Pattern TITLE = Pattern.compile("<<[^<>\n]++>>");
    private static final Pattern FENCE = Pattern.compile("```(?:json|JSON)?\\R?(.*?)\\R?```", Pattern.DOTALL);
    private static final List<String> CONSTRAINED =
            List.of("My answer is yes.", "My answer is no.", "My answer is maybe.");

    private record Instruction(String id, Predicate<String> isFollowed) {}

    @Override
    public Key key(Candidate row) {
        JsonNode names = Columns.get(row, ids);
        JsonNode arguments = Columns.get(row, kwargs);
        if (!names.isArray() || names.isEmpty() || !arguments.isArray() || names.size() != arguments.size()) {
            throw new Unscorable("columns " + ids + " and " + kwargs + " are no lists of the same length");
        }
        List<Instruction> instructions = new ArrayList<>();
        for (int i = 0; i < names.size(); i++) {
            String id = names.path(i).asString();
            instructions.add(new Instruction(id, check(id, new Arguments(id, arguments.path(i)))));
        }
        return answer -> mark(answer, instructions);
    }

    private static Finding mark(String answer, List<Instruction> instructions) {
        if (answer.length() > LONGEST) {
            return Finding.unparseable(answer.length() + " characters");
        }
        List<Score> parts = new ArrayList<>();
        List<String> broken = new ArrayList<>();
        for (Instruction instruction : instructions) {
            boolean followed = instruction.isFollowed().test(answer);
            parts.add(Score.of(instruction.id(), followed ? 1 : 0, followed ? "followed" : "not followed"));
            if (!followed) {
                broken.add(instruction.id());
            }
        }
        return broken.isEmpty()
                ? new Finding(Verdict.RIGHT, "right: all of " + instructions.size() + " instructions", parts)
                : new Finding(Verdict.WRONG, "wrong: not followed: " + String.join(", ", broken), parts);
    }

    private static Predicate<String> check(String id, Arguments given) {
        return switch (id) {
            case "keywords:existence" -> {
                List<Pattern> words = given.words("keywords");
                yield text -> words.stream().allMatch(word -> word.matcher(text).find());
            }
            case "keywords:forbidden_words" -> {
                List<Pattern> words = given.words("forbidden_words");
                yield text ->
                        words.stream().noneMatch(word -> word.matcher(text).find());
            }
            case "keywords:frequency" -> {
                Pattern word = word(given.text("keyword"));
                Predicate<Long> count = given.relation("relation", "frequency");
                yield text -> count.test(count(word, text));
            }
            case "keywords:letter_frequency" -> {
                Pattern letter = literal(given.text("letter"));
                Predicate<Long> count = given.relation("let_relation", "let_frequency");
                yield text -> count.test(count(letter, text));
            }
            case "language:response_language" -> {
                String code = Language.code(given.text("language"));
                yield text -> Language.of(text).equals(code);
            }
            case "length_constraints:number_words" -> {
                Predicate<Long> count = given.relation("relation", "num_words");
                yield text -> count.test(count(WORD, text));
            }
            case "length_constraints:number_sentences" -> {
                Predicate<Long> count = given.relation("relation", "num_sentences");
                yield text -> count.test(sentences(text));
            }
            case "length_constraints:number_paragraphs" -> {
                int number = given.integer("num_paragraphs");
                yield text -> {
                    List<String> paragraphs = split(text, "\\s?\\*\\*\\*\\s?");
                    return paragraphs.size() == number && paragraphs.stream().noneMatch(String::isBlank);
                };
            }
            case "length_constraints:nth_paragraph_first_word" -> {
                int number = given.integer("num_paragraphs");
                int nth = given.integer("nth_paragraph");
                String first = given.text("first_word").toLowerCase(Locale.ROOT);
                yield text -> {
                    List<String> paragraphs = split(text, "\\R\\s*\\R").stream()
                            .filter(paragraph -> !paragraph.isBlank())
                            .toList();
                    if (paragraphs.size() != number || nth < 1 || nth > number) {
                        return false;
                    }
                    var word = WORD.matcher(paragraphs.get(nth - 1));
                    return word.find() && word.group().toLowerCase(Locale.ROOT).equals(first);
                };
            }
            case "detectable_content:number_placeholders" -> {
                int number = given.integer("num_placeholders");
                yield text -> count(PLACEHOLDER, text) >= number;
            }
            case "detectable_content:postscript" -> {
                String marker = given.text("postscript_marker");
                yield text -> text.lines().anyMatch(line -> line.strip().startsWith(marker));
            }
            case "detectable_format:number_bullet_lists" -> {
                int number = given.integer("num_bullets");
                yield text -> count(BULLET, text) == number;
            }
            case "detectable_format:number_highlighted_sections" -> {
                int number = given.integer("num_highlights");
                yield text -> HIGHLIGHT
                                .matcher(text)
                                .results()
                                .filter(found -> !found.group().replace("*", "").isBlank())
                                .count()
                        >= number;
            }
            case "detectable_format:multiple_sections" -> {
                Pattern section =
                        Pattern.compile("(?m)^\\s*+" + Pattern.quote(given.text("section_spliter")) + "\\s?[0-9]++");
                int number = given.integer("num_sections");
                yield text -> count(section, text) >= number;
            }
            case "detectable_format:json_format" -> InstructionChecks::isJson;
            case "detectable_format:title" ->
                text -> TITLE.matcher(text)
                        .results()
                        .anyMatch(title -> WORD.matcher(title.group()).find());
            case "detectable_format:constrained_response" ->
                text -> CONSTRAINED.stream().filter(text::contains).count() == 1;
            case "combination:two_responses" ->
                text -> {
                    List<String> responses = split(text, "\\*{6}");
                    return responses.size() == 2
                            && responses.stream().noneMatch(String::isBlank)
                            && !responses
                                    .getFirst()
                                    .strip()
                                    .equals(responses.getLast().strip());
                };
            case "combination:repeat_prompt" -> {
                String prompt = given.text("prompt_to_repeat").strip().toLowerCase(Locale.ROOT);
                yield text -> text.strip().toLowerCase(Locale.ROOT).startsWith(prompt);
            }
            case "startend:start_checker" -> {
                String phrase = given.text("start_phrase").strip().toLowerCase(Locale.ROOT);
                yield text -> text.strip().toLowerCase(Locale.ROOT).startsWith(phrase);
            }
            case "startend:end_checker" -> {
                String phrase = given.text("end_phrase").strip().toLowerCase(Locale.ROOT);
                yield text -> text.strip().toLowerCase(Locale.ROOT).endsWith(phrase);
            }
            case "startend:quotation" ->
                text -> text.strip().length() > 2
                        && text.strip().startsWith("\"")
                        && text.strip().endsWith("\"");
            case "change_case:capital_word_frequency" -> {
                Predicate<Long> count = given.relation("capital_relation", "capital_frequency");
                yield text -> count.test(WORD.matcher(text)
                        .results()
                        .filter(word -> isUpper(word.group()))
                        .count());
            }
            case "change_case:english_capital" -> InstructionChecks::isUpper;
            case "change_case:english_lowercase" ->
                text -> text.equals(text.toLowerCase(Locale.ROOT)) && hasLetter(text);
            case "punctuation:no_comma" -> text -> text.chars().noneMatch(c -> ",،、，".indexOf(c) >= 0);
            default -> throw new Unscorable("no instruction is called " + Show.text(id));
        };
    }

    private static boolean isUpper(String text) {
        return text.equals(text.toUpperCase(Locale.ROOT)) && hasLetter(text);
    }

    private static boolean hasLetter(String text) {
        return text.codePoints().anyMatch(Character::isAlphabetic);
    }

    private static boolean isJson(String text) {
        var fence = FENCE.matcher(text.strip());
        try {
            JsonNode json = Json.MAPPER.readTree(fence.matches() ? fence.group(1) : text);
            return json != null && json.isContainer();
        } catch (JacksonException e) {
            return false;
        }
    }

    private static long sentences(String text) {
        BreakIterator sentences = BreakIterator.getSentenceInstance(Locale.ROOT);
        sentences.setText(text);
        long count = 0;
        for (int from = sentences.first(), to = sentences.next();
                to != BreakIterator.DONE;
                from = to, to = sentences.next()) {
            count += WORD.matcher(text.substring(from, to)).find() ? 1 : 0;
        }
        return count;
    }

    private static List<String> split(String text, String separator) {
        return Arrays.asList(text.strip().split(separator, -1));
    }

    private static long count(Pattern pattern, String text) {
        return pattern.matcher(text).results().count();
    }

    private static Pattern word(String word) {
        return Pattern.compile(
                "(?<![\\p{L}\\p{M}\\p{N}_])" + Pattern.quote(Normalizer.normalize(word.strip(), Normalizer.Form.NFC))
                        + "(?![\\p{L}\\p{M}\\p{N}_])",
                Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE);
    }

    private static Pattern literal(String text) {
        return Pattern.compile(Pattern.quote(text), Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE);
    }

    /// What one instruction was given; whatever is missing makes the row unscorable.
    private record Arguments(String id, JsonNode values) {

        private JsonNode get(String name) {
            JsonNode value = values == null ? MissingNode.getInstance() : values.path(name);
            if (value.isMissingNode() || value.isNull()) {
                throw new Unscorable(id + " needs " + name);
            }
            return value;
        }

        String text(String name) {
            JsonNode value = get(name);
            if (!value.isString() || value.stringValue().isBlank()) {
                throw new Unscorable(id + ": " + name + " is " + Show.text(value.toString()) + ", expected a text");
            }
            return value.stringValue();
        }

        int integer(String name) {
            JsonNode value = get(name);
            // Parquet made some of IFEval's integers 3.0.
            if (!value.isNumber()
                    || value.doubleValue() != Math.rint(value.doubleValue())
                    || Math.abs(value.doubleValue()) > 1e9) {
                throw new Unscorable(id + ": " + name + " is " + Show.text(value.toString()) + ", expected an integer");
            }
            return (int) value.doubleValue();
        }

        List<Pattern> words(String name) {
            List<Pattern> words = new ArrayList<>();
            for (JsonNode word : get(name)) {
                if (!word.isString() || word.stringValue().isBlank()) {
                    throw new Unscorable(id + ": " + name + " holds " + Show.text(word.toString()));
                }
                words.add(word(word.stringValue()));
            }
            if (words.isEmpty()) {
                throw new Unscorable(id + ": " + name + " is no list of words");
            }
            return words;
        }

        Predicate<Long> relation(String relation, String number) {
            int bound = integer(number);
            return switch (text(relation)) {
                case "at least" -> count -> count >= bound;
                case "less than" -> count -> count < bound;
                default ->
                    throw new Unscorable(id + ": " + relation + " is " + Show.text(text(relation))
                            + ", expected at least or less than");
            };
        }
    }
}
