package dev.manners.reward;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.Objects;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// JSON answers against schemas, both hostile.
class JsonSchemaTest {

    private static final String PERSON = """
            {'type': 'object', 'properties': {'name': {'type': 'string', 'pattern': '^[A-Z]'}, 'age': {'type': 'integer', 'minimum': 0}},
             'required': ['name'], 'additionalProperties': false}""";

    private static Verdict verdict(String answer, String schema) {
        Verifier verifier = new Verifier("json_schema", AnswerRule.WHOLE, new JsonSchema("schema"));
        return Objects.requireNonNull(
                Candidates.score(verifier, Candidates.of(answer.replace('\'', '"'), "{'schema': " + schema + "}"))
                        .verdict());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '^', textBlock = """
            {'name': 'Ada', 'age': 36}               | RIGHT
            ^  {'name': 'Ada'}⏎^                     | RIGHT
            ```json⏎{'name': 'Ada'}⏎```              | RIGHT
            {'name': 'ada'}                          | WRONG
            {'name': 'Ada', 'age': -1}               | WRONG
            {'name': 'Ada', 'age': 36.5}             | WRONG
            {'name': 'Ada', 'more': 1}               | WRONG
            {'age': 36}                              | WRONG
            []                                       | WRONG
            'Ada'                                    | WRONG
            {'name': 'Ada'                           | UNPARSEABLE
            {'name': 'Ada'} {'name': 'Bob'}          | UNPARSEABLE
            {'name': 'bob', 'name': 'Ada'}           | UNPARSEABLE
            Here it is: {'name': 'Ada'}              | UNPARSEABLE
            {name: 'Ada'}                            | UNPARSEABLE
            {'name': 'Ada', 'age': NaN}              | UNPARSEABLE
            {'name': 'Ada',}                         | UNPARSEABLE
            // no⏎{'name': 'Ada'}                    | UNPARSEABLE
            """)
    void rl04_onlyTheJsonAsked(String answer, Verdict verdict) {
        String text = answer.replace('⏎', '\n');

        assertThat(verdict(text, PERSON)).isEqualTo(verdict);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "'{'",
                "[]",
                "3",
                "{'type': 'object', 'pattern': '('}",
                "{'$ref': 'http://127.0.0.1:1/schema.json'}",
                "{'$ref': 'file:///etc/passwd'}",
                "{'$ref': '#/nowhere'}",
                "{'$schema': 'http://127.0.0.1:1/dialect'}"
            })
    void rl01_aSchemaThatCannotBeUsedScoresNobody(String schema) {
        assertThat(verdict("{'name': 'Ada'}", schema)).isEqualTo(Verdict.UNSCORABLE);
    }

    @Test
    void aSchemaMayBeText() {
        assertThat(verdict("3", "'{}'")).isEqualTo(Verdict.RIGHT);
    }

    @Test
    void rl04_whatNeverEndsIsCutShort() {
        StringBuilder ladder = new StringBuilder("{'$ref': '#/$defs/a0', '$defs': {");
        for (int i = 0; i < 40; i++) {
            ladder.append(
                    "'a%d': {'allOf': [{'$ref': '#/$defs/a%d'}, {'$ref': '#/$defs/a%d'}]},".formatted(i, i + 1, i + 1));
        }
        ladder.append("'a40': {'type': 'object'}}}");
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(60), () -> {
            assertThat(verdict("{'a': 1}", ladder.toString())).isNotEqualTo(Verdict.RIGHT);
            assertThat(verdict("{'a': 1}", "{'$ref': '#'}")).isNotEqualTo(Verdict.RIGHT);
            assertThat(verdict("'" + "a".repeat(100) + "'", "{'pattern': '" + "(.*)".repeat(12) + "c$'}"))
                    .isEqualTo(Verdict.UNPARSEABLE);
            assertThat(verdict("[".repeat(100_000), "{}")).isEqualTo(Verdict.UNPARSEABLE);
            assertThat(verdict("[".repeat(150) + "]".repeat(150), "{'items': {'$ref': '#'}, 'type': 'array'}"))
                    .isEqualTo(Verdict.RIGHT);
            assertThat(verdict("9".repeat(1_000_000), "{'multipleOf': 3}")).isEqualTo(Verdict.UNPARSEABLE);
            assertThat(verdict("1e999999999", "{'multipleOf': 3}")).isNotEqualTo(Verdict.RIGHT);
        });
    }
}
