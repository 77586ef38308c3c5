package dev.manners;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.List;
import org.junit.jupiter.api.Test;

/// The house's floors: a package never imports one above it.
class ArchitectureTest {

    /// From the ground up.
    private static final List<String> FLOORS = List.of(
            "files",
            "config",
            "tensor",
            "model",
            "text",
            "data",
            "stats",
            "loss",
            "rollout",
            "reward",
            "train",
            "feedback",
            "audit",
            "parrot",
            "run",
            "serve",
            "cli");

    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("dev.manners");

    @Test
    void lowerPackagesNeverImportHigherOnes() {
        for (int floor = 0; floor < FLOORS.size() - 1; floor++) {
            String[] above = FLOORS.subList(floor + 1, FLOORS.size()).stream()
                    .map(name -> "dev.manners." + name + "..")
                    .toArray(String[]::new);
            noClasses()
                    .that()
                    .resideInAPackage("dev.manners." + FLOORS.get(floor) + "..")
                    .should()
                    .dependOnClassesThat()
                    .resideInAnyPackage(above)
                    .allowEmptyShould(true)
                    .check(CLASSES);
        }
    }

    @Test
    void onlyTensorKnowsLibtorch() {
        noClasses()
                .that()
                .resideOutsideOfPackage("dev.manners.tensor..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.bytedeco..")
                .check(CLASSES);
    }

    @Test
    void nothingIsJavaSerialised() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.io.ObjectInputStream")
                .check(CLASSES);
    }
}
