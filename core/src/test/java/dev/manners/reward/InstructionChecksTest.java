package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Every instruction, followed and not.
class InstructionChecksTest {

    private static Score score(String answer, String ids, String kwargs) {
        Verifier verifier =
                new Verifier("instructions", AnswerRule.WHOLE, new InstructionChecks("instruction_id_list", "kwargs"));
        return Candidates.score(
                verifier,
                Candidates.of(
                        answer.replace('⏎', '\n'),
                        "{'instruction_id_list': [" + ids + "], 'kwargs': [" + kwargs + "]}"));
    }

    /// Columns: instruction, what it is given, a text that follows it, one that does not.
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            keywords:existence | {'keywords': ['tea', 'Milk']} | Tea with milk. | Teapot and milk.
            keywords:forbidden_words | {'forbidden_words': ['tea']} | A teapot. | Some TEA.
            keywords:frequency | {'keyword': 'tea', 'frequency': 2, 'relation': 'at least'} | tea, Tea! | tea, teas
            keywords:frequency | {'keyword': 'tea', 'frequency': 2, 'relation': 'less than'} | tea | tea tea
            keywords:frequency | {'keyword': 't.a', 'frequency': 1, 'relation': 'at least'} | t.a | tea
            keywords:letter_frequency | {'letter': 'e', 'let_frequency': 3, 'let_relation': 'at least'} | Eee | ee
            length_constraints:number_words | {'num_words': 3, 'relation': 'at least'} | one two three | one, two
            length_constraints:number_words | {'num_words': 3.0, 'relation': 'less than'} | one two | one two three
            length_constraints:number_sentences | {'num_sentences': 2, 'relation': 'at least'} | It is 3.5. It was 2. | It is 3.5.
            length_constraints:number_paragraphs | {'num_paragraphs': 2} | one⏎***⏎two | one⏎***⏎
            length_constraints:nth_paragraph_first_word | {'num_paragraphs': 2, 'nth_paragraph': 2, 'first_word': 'so'} | one⏎⏎So two | So one⏎⏎two
            detectable_content:number_placeholders | {'num_placeholders': 2} | [name] [date] | [name] []
            detectable_content:postscript | {'postscript_marker': 'P.S.'} | Dear⏎P.S. bye | Dear, no P.S. here
            detectable_format:number_bullet_lists | {'num_bullets': 2} | * a⏎- b | * a⏎* b⏎* c
            detectable_format:number_highlighted_sections | {'num_highlights': 2} | *a* and **b** | *a* and ** **
            detectable_format:multiple_sections | {'section_spliter': 'Section', 'num_sections': 2} | Section 1⏎a⏎Section 2⏎b | Section 1⏎Section
            detectable_format:json_format | {} | {'a': 1} | a: 1
            detectable_format:title | {} | <<A title>> text | << >> text
            detectable_format:constrained_response | {} | My answer is yes. | My answer is yes. My answer is no.
            combination:two_responses | {} | one ****** two | one ****** one
            combination:repeat_prompt | {'prompt_to_repeat': 'Why?'} | Why? Because. | Because. Why?
            startend:start_checker | {'start_phrase': 'Well'} | Well, no. | No. Well.
            startend:end_checker | {'end_phrase': 'Bye.'} | So long. bye. | Bye. So long.
            startend:quotation | {} | 'quoted' | 'quoted' not
            change_case:capital_word_frequency | {'capital_frequency': 2, 'capital_relation': 'at least'} | TWO WORDS here | ONE word
            change_case:english_capital | {} | ALL OF IT, 3 TIMES. | Not all.
            change_case:english_lowercase | {} | all of it. | Not all.
            punctuation:no_comma | {} | no comma; none. | one, comma
            language:response_language | {'language': 'de'} | Der Zug fährt heute leider nicht, weil es in der Nacht geschneit hat. | The train does not run today because it snowed last night.
            language:response_language | {'language': 'en'} | The train does not run today because it snowed last night. | Le train ne circule pas aujourd'hui parce qu'il a neigé cette nuit.
            language:response_language | {'language': 'ja'} | 昨夜雪が降ったので、今日は電車が走っていません。 | The train does not run today.
            language:response_language | {'language': 'hi'} | कल रात बर्फ़ गिरी थी इसलिए आज ट्रेन नहीं चल रही है। | The train does not run today.
            """)
    void eachIsFollowedOrNot(String id, String given, String followed, String broken) {
        assertThat(score(quoted(followed), "'" + id + "'", given)).returns(Verdict.RIGHT, Score::verdict);
        assertThat(score(quoted(broken), "'" + id + "'", given)).returns(Verdict.WRONG, Score::verdict);
    }

    /// Apostrophes stand for quotation marks, but not inside a word.
    private static String quoted(String text) {
        return text.replaceAll("(?<![a-z])'|'(?![a-z])", "\"");
    }

    @Test
    void allMustBeFollowedAndTheExplanationSaysWhichWere() {
        Score score = score("one two", "'punctuation:no_comma', 'change_case:english_capital'", "{}, {}");

        assertThat(score.value()).isEqualTo(0);
        assertThat(score.reason()).isEqualTo("wrong: not followed: change_case:english_capital");
        assertThat(score.parts().stream().map(Score::value)).containsExactly(1.0, 0.0);
    }

    @Test
    void rl04_sayingNothingFollowsNoInstruction() {
        for (String nothing : new String[] {"", "  ", "<think>one two</think>", "<!-- one two -->"}) {
            assertThat(score(nothing, "'punctuation:no_comma'", "{}").verdict()).isEqualTo(Verdict.UNPARSEABLE);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "'no:such'|{}",
                "'keywords:existence'|{}",
                "'keywords:existence'|{'keywords': null}",
                "'keywords:existence'|{'keywords': []}",
                "'keywords:frequency'|{'keyword': 'a', 'frequency': 'x', 'relation': 'at least'}",
                "'keywords:frequency'|{'keyword': 'a', 'frequency': 1, 'relation': 'about'}",
                "'language:response_language'|{'language': 'qqq'}",
                "'punctuation:no_comma'|{}, {}",
                "|",
                "'punctuation:no_comma'|"
            })
    void rl01_instructionsThatCannotBeCheckedScoreNobody(String row) {
        String[] columns = row.split("\\|", -1);

        assertThat(score("text", columns[0], columns[1]).verdict()).isEqualTo(Verdict.UNSCORABLE);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "en", "es", "pt", "ar", "hi", "fr", "ru", "de", "ja", "it", "bn", "uk", "th", "ur", "ta", "te", "bg",
                "ko", "pl", "he", "fa", "vi", "ne", "sw", "kn", "mr", "gu", "pa", "ml", "fi"
            })
    void everyLanguageOfIfevalIsKnown(String language) {
        assertThat(Objects.requireNonNull(score(
                                "Some words.", "'language:response_language'", "{'language': '" + language + "'}"))
                        .verdict())
                .isNotEqualTo(Verdict.UNSCORABLE);
    }
}
