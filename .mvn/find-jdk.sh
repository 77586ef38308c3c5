# Sourced by ./manners and ./mvnw: sets JAVA_HOME to a JDK 25 or newer if it is not one already.
# Looks at JAVA_HOME, the java on PATH, then the usual folders. Leaves JAVA_HOME as it is when none is found.

java_version() { # prints the feature version of the JDK in folder $1, or 0
  if [ -x "$1/bin/javac" ] && [ -r "$1/release" ]; then
    sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release"
  else
    echo 0
  fi
}

find_jdk() {
  if [ -n "${JAVA_HOME-}" ] && [ "$(java_version "$JAVA_HOME")" -ge 25 ] 2>/dev/null; then
    return 0
  fi
  on_path=$(command -v java 2>/dev/null || true)
  if [ -n "$on_path" ] && command -v readlink >/dev/null 2>&1; then
    on_path=$(readlink -f "$on_path" 2>/dev/null || echo "$on_path")
    on_path=$(dirname "$(dirname "$on_path")")
  fi
  set +f
  for jdk in "$on_path" /usr/lib/jvm/* /usr/java/* /opt/java/* /opt/jdk* /opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home \
    /Library/Java/JavaVirtualMachines/*/Contents/Home "${HOME-}"/.sdkman/candidates/java/* "${HOME-}"/.jdks/* "${HOME-}"/.asdf/installs/java/*; do
    if [ -n "$jdk" ] && [ "$(java_version "$jdk")" -ge 25 ] 2>/dev/null; then
      JAVA_HOME=$jdk
      export JAVA_HOME
      return 0
    fi
  done
  return 1
}
