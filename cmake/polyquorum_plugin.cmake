# polyquorum_add_plugin(NAME KIND kind SOURCES ... [LIBRARIES ...]): one shared library with one
# exported symbol, put where the kernel looks: plugins/<kind>/<name>.so.
# polyquorum_add_test(NAME SOURCES ... LIBRARIES ...): one Catch2 program known to ctest.
add_custom_target(plugins)  # all of them, without their tests

function(polyquorum_add_plugin name)
  cmake_parse_arguments(arg "" "KIND" "SOURCES;LIBRARIES" ${ARGN})
  set(target plugin_${arg_KIND}_${name})
  add_library(${target} MODULE ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE polyquorum::sdk ${arg_LIBRARIES})
  target_link_options(${target} PRIVATE -Wl,-z,defs)
  set_target_properties(${target} PROPERTIES
    PREFIX "" OUTPUT_NAME ${name}
    LIBRARY_OUTPUT_DIRECTORY ${POLYQUORUM_PLUGIN_DIRECTORY}/${arg_KIND}
    BUILD_RPATH "$ORIGIN/../..")
  add_dependencies(plugins ${target})
  if(POLYQUORUM_SANITIZE OR POLYQUORUM_TSAN OR POLYQUORUM_FUZZ)
    # The sanitizer's runtime comes with the program.
    set_target_properties(${target} PROPERTIES LINK_OPTIONS "")
  endif()
endfunction()

function(polyquorum_add_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE polyquorum::test_main ${arg_LIBRARIES})
  add_test(NAME ${name} COMMAND ${name})
endfunction()
