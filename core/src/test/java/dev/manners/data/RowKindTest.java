package dev.manners.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.manners.BadInput;
import dev.manners.files.Json;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

class RowKindTest {

    @Test
    void alpacaBecomesPromptAndCompletion() {
        RowKind alpaca = new RowKind.Alpaca();
        Row withInput = row("{'instruction':'Add.','input':'1 and 2','output':'3','id':7}");
        assertThat(alpaca.read(withInput))
                .isEqualTo(new Demonstration.Completion(
                        "### Instruction:\nAdd.\n\n### Input:\n1 and 2\n\n### Response:\n", "3"));
        Demonstration without =
                new Demonstration.Completion("### Instruction:\nGreet.\n\n### Response:\n", "Good morning.");
        assertThat(alpaca.read(row("{'instruction':'Greet.','input':'','output':'Good morning.'}")))
                .isEqualTo(without);
        assertThat(alpaca.read(row("{'instruction':'Greet.','input':null,'output':'Good morning.'}")))
                .isEqualTo(without);
        assertThat(alpaca.read(row("{'instruction':'Greet.','output':'Good morning.'}")))
                .isEqualTo(without);
        assertThat(alpaca.describe(withInput))
                .contains("### Instruction:\\n{instruction}", "completion = output", "columns not used: id");
    }

    @Test
    void shareGptBecomesMessages() {
        Row row = row("{'conversations':[{'from':'human','value':'Hi'},{'from':'gpt','value':'Hello'}]}");
        row.fields().put("tools", "[{\"a\":1}]"); // as datasets keep it: JSON in a string
        Demonstration.Conversation chat = (Demonstration.Conversation) new RowKind.Messages(true).read(row);
        assertThat(chat.prompt().isEmpty()).isTrue();
        assertThat(chat.messages().toString())
                .isEqualTo("[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"Hello\"}]");
        assertThat(chat.tools()).hasToString("[{\"a\":1}]");
    }

    /// Each would mislead a trainer without a word; each is named by what is wrong with it.
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "text       | {'other':1}                                    | column text is missing",
                "text       | {'text':null}                                  | column text is null",
                "text       | {'text':7}                                     | column text is number",
                "text       | {'text':'a\\u0000b'}                           | holds a NUL character, at 1",
                "text       | {'text':'a\\ud83d!'}                           | half a surrogate pair, \\ud83d, at 1",
                "completion | {'prompt':'a'}                                 | column completion is missing",
                "completion | {'prompt':['a'],'completion':'b'}              | column prompt is array",
                "chat       | {'prompt':[],'completion':[]}                  | column prompt is an empty list",
                "chat       | {'prompt':'a','completion':[]}                 | column prompt is string",
                "chat       | {'prompt':[{'role':'user','content':'a'}],'completion':[{'role':'user','content':'b'}]} | not the assistant's",
                "messages   | {'messages':[]}                                | column messages is an empty list",
                "messages   | {'messages':'hello'}                           | column messages is string",
                "messages   | {'messages':['hello']}                         | message 1 of messages is string",
                "messages   | {'messages':[{'role':'bot','content':'a'}]}    | has the role \"bot\"",
                "messages   | {'messages':[{'content':'a'}]}                 | has the role",
                "messages   | {'messages':[{'role':'user'}]}                 | message 1 of messages has no content",
                "messages   | {'messages':[{'role':'assistant','content':null}]} | has no content",
                "messages   | {'messages':[{'role':'user','content':5}]}     | content is number",
                "messages   | {'messages':[{'role':'user','content':[{'type':'image'}]}]} | a part that is not text: \"image\"",
                "messages   | {'messages':[{'role':'assistant','content':'a'},{'role':'assistant','content':'b'}]} | message 2 of messages follows another of the assistant's",
                "messages   | {'messages':[{'role':'user','content':'a'},{'role':'system','content':'b'}]} | message 2 of messages is a system message",
                "messages   | {'messages':[{'role':'user','content':'a'}],'tools':{}} | column tools is no array",
                "messages   | {'messages':[{'role':'user','content':'a'}],'tools':'{'} | column tools is not valid JSON",
                "alpaca     | {'instruction':'a','output':null}              | column output is null",
                "alpaca     | {'instruction':'a','input':3,'output':'b'}     | column input is number",
            })
    void ds02_whatIsWrongWithARowIsSaid(String kind, String json, String message) {
        RowKind of = switch (kind) {
            case "text" -> new RowKind.Text("text");
            case "completion" -> new RowKind.PromptCompletion(false);
            case "chat" -> new RowKind.PromptCompletion(true);
            case "messages" -> new RowKind.Messages(false);
            default -> new RowKind.Alpaca();
        };
        assertThatThrownBy(() -> of.read(row(json)))
                .isInstanceOf(BadInput.class)
                .hasMessageStartingWith("rows.jsonl:1: ")
                .hasMessageContaining(message);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'messages':[{'role':'system','content':'s'},{'role':'user','content':'a'},{'role':'assistant','content':'b'}]}",
                "{'messages':[{'role':'user','content':[{'type':'text','text':'a'}]},{'role':'assistant','content':null,'tool_calls':[{}]},{'role':'tool','content':'1'},{'role':'assistant','content':'b'}]}",
                "{'messages':[{'role':'user','content':'a'},{'role':'assistant','content':''}],'tools':'','extra':1}",
            })
    void conversationsThatAreAllRight(String json) {
        assertThat(new RowKind.Messages(false).read(row(json))).isInstanceOf(Demonstration.Conversation.class);
    }

    private static Row row(String json) {
        return new Row("rows.jsonl:1", (ObjectNode) Json.MAPPER.readTree(json.replace('\'', '"')));
    }
}
